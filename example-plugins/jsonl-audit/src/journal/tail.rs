//! What a crash leaves behind: half a line at the end of the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::private;

/// Position behind the last line break; 0 if there is none.
pub(super) fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut block = vec![0; BLOCK.min(len) as usize];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Moves everything behind `whole` to the end of another file, as a line of its own. Nothing is lost if it fails halfway.
pub(super) fn set_aside(file: &mut File, whole: u64, aside: &Path) -> io::Result<()> {
    let mut other = private().append(true).create(true).open(aside)?;
    file.seek(SeekFrom::Start(whole))?;
    io::copy(file, &mut other)?;
    other.write_all(b"\n")?;
    other.sync_all()?;
    file.set_len(whole)?;
    file.sync_all()
}
