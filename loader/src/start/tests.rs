use std::sync::mpsc;

use futures_executor::block_on;

use super::*;
use crate::image_dir::ImageDirChoice;
use crate::preflight::Preflight;

fn starter(images: &Path) -> Starter {
    Starter {
        housekeeping: Housekeeping::start().unwrap(),
        watchdog: Watchdog::new(),
        events: Events::new(),
        image_dir: Arc::new(ImageDir::open(ImageDirChoice::Explicit(images.to_owned())).unwrap()),
        preflighter: Preflighter::new(&Preflight::Off, 0),
        max_images: 1,
        identity: HostIdentity { name: "tests".to_owned(), version: "1".to_owned() },
        data_dir: None,
    }
}

/// The thread that is to read a file does not begin while a library hangs in the linker. The file is not to blame.
#[test]
fn who_waits_for_the_linker_to_be_read_is_not_called_bad() {
    let images = tempfile::tempdir().unwrap();
    let mut entry = PluginEntry::new("waits");
    entry.limits.create = Duration::from_millis(200);
    let (end, ended) = mpsc::channel::<()>();
    let hanging = std::thread::spawn(move || turn::take(Path::new("hangs.so"), || ended.recv()));
    let begun = Instant::now();
    while turn::held_for(entry.limits.create) != Some("hangs.so".into()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it had no turn");
        std::thread::yield_now();
    }

    let (begin, begins) = mpsc::channel::<()>();
    let read = move || {
        let _ = begins.recv();
        Err(LoadError::OpenLost { path: "waits.so".into() })
    };
    let read = block_on(starter(images.path()).read("waits.so".into(), &entry, read));
    drop((begin, end));
    hanging.join().unwrap().unwrap_err();
    match read.err() {
        Some(PluginFailure::Load(LoadError::LinkerHeldUp { path, other, limit })) => {
            let expected = ("waits.so".into(), "hangs.so".into(), entry.limits.create);
            assert_eq!((path, other, limit), expected);
        }
        other => panic!("{other:?}"),
    }
}
