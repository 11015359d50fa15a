//! Commits, through a loaded plugin, the fault that a sanitizer is there to find: `planted use-after-free` or `planted race`.
//! `scripts/sanitize` runs it to see that the sanitizer looks across the boundary. Without one it proves nothing.

use std::process::ExitCode;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::ExecutionMode;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::Probing;
use mini_chat_plugin_tests::serving::{Way, patient};
use probe::Action;

fn main() -> ExitCode {
    let token = CancellationToken::new();
    let way = Way { loaded: true, mode: ExecutionMode::Inline };
    block_on(async {
        let probing = Probing::serve(way, patient(Duration::from_secs(1))).await;
        let text = "a text of the host".to_owned();
        let address = text.as_ptr() as u64;
        match std::env::args().nth(1).as_deref() {
            Some("use-after-free") => {
                free(text);
                probing.tell(Action::ReadAt, address, &token).await;
            }
            Some("race") => {
                assert_eq!(probing.tell(Action::WriteAt, address, &token).await, None);
                // While the plugin's thread writes.
                for _ in 0..100 {
                    std::hint::black_box(sum(&text));
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            _ => panic!("planted use-after-free | race"),
        }
    });
    ExitCode::SUCCESS
}

/// The host frees the text.
#[inline(never)]
fn free(text: String) {
    drop(text);
}

/// The host reads the text.
#[inline(never)]
fn sum(text: &str) -> u64 {
    text.bytes().map(u64::from).sum()
}
