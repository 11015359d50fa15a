//! Commits, through a loaded plugin, the fault that a sanitizer is there to find: `planted use-after-free`, `planted race`
//! or `planted leak`. `scripts/sanitize` and `scripts/valgrind` run it to see that they look across the boundary. Without one of
//! them it proves nothing.

use std::process::ExitCode;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::ExecutionMode;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::Probing;
use mini_chat_plugin_tests::serving::{Way, patient};
use probe::Action;

/// Bytes that are lost on each side.
const LOST: u64 = 54_321;

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
            Some("leak") => {
                lose(LOST);
                assert_eq!(probing.tell(Action::Leak, LOST, &token).await, None);
                assert!(probing.host.shutdown().await.is_clean());
            }
            _ => panic!("planted use-after-free | race | leak"),
        }
    });
    ExitCode::SUCCESS
}

/// The host loses so many bytes for ever.
#[inline(never)]
fn lose(bytes: u64) {
    Box::leak(vec![1_u8; usize::try_from(bytes).expect("few")].into_boxed_slice());
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
