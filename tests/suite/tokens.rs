//! Many calls, few or many tokens: what they leave behind is bounded.
//!
//! One test, in a program of its own: it reads the memory of the whole process.
//!
//! `TOKENS_ISOLATED` says how many calls an isolated plugin gets (50,000); `scripts/tokens` gives it a million.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::{Probing, key, order, poll_once};
use mini_chat_plugin_tests::serving::{Way, patient, resident_bytes, sanitized};
use probe::Action;

/// Most links kept without a pending call.
const KEPT: usize = 4096;

/// What the allocator may keep between calls that leave nothing behind.
const SLACK: usize = 1 << 20;

#[test]
fn many_calls_and_many_tokens() {
    // A hop makes a call slow.
    let isolated = std::env::var("TOKENS_ISOLATED").map_or(50_000, |count| count.parse().expect("a number of calls"));
    // A sanitizer makes all slow, and what it looks for is in the first calls as well.
    let inline = if sanitized() { 100_000 } else { 1_000_000 };
    for (way, many) in [(Way::ALL[0], inline), (Way::ALL[1], inline), (Way::ALL[2], isolated)] {
        println!("{}: {many} calls on one token, and {many} with one each", way.name());
        let begin = Instant::now();
        block_on(async {
            let probing = Probing::serve(way, patient(Duration::from_secs(60))).await;
            let one = CancellationToken::new();
            calls(&probing, &one, 1_000).await;
            let before = resident_bytes();
            calls(&probing, &one, many).await;
            assert_eq!(probing.status().linked_tokens, 1, "one token, one link");
            flat(before);
            let live = probing.status().live_heap_bytes;

            let kept: Vec<_> = (0..3).map(|_| (key(), CancellationToken::new())).collect();
            for (key, token) in &kept {
                assert_eq!(probing.tell(Action::Keep, *key, token).await, None);
            }
            // What the plugin has left behind hears its token, as long as there is a link.
            let (heard, unheard) = ((key(), CancellationToken::new()), (key(), CancellationToken::new()));
            assert_eq!(probing.tell(Action::Detach, heard.0, &heard.1).await, None);
            assert_eq!(probing.tell(Action::Detach, unheard.0, &unheard.1).await, None);
            heard.1.cancel();
            probing.noted(heard.0, "heard").await;
            // One is used by a pending call all the time: it is not evicted.
            let (pending_key, pending_token) = (key(), CancellationToken::new());
            let mut pending =
                probing.policy.get_user_limits(order(Action::UntilCancelled, pending_key), 1, pending_token.clone());
            assert!(poll_once(pending.as_mut()).await.is_pending());

            let linked = probing.status().linked_tokens;
            fill(&probing, 10_000).await;
            let status = probing.status();
            assert!(status.linked_tokens <= KEPT + 1, "{} links are kept", status.linked_tokens);
            assert_eq!(status.linked_tokens + usize::try_from(status.evicted_tokens).unwrap(), 10_000 + linked);
            assert!(status.evicted_tokens > 5_000);

            let before = resident_bytes();
            let full = probing.status().live_heap_bytes;
            fill(&probing, many).await;
            flat(before);
            let now = probing.status().live_heap_bytes;
            // A call's task is freed by the thread that ran it, a little later.
            let slack = if probing.status().isolated { 4096 } else { 0 };
            assert!(
                now.zip(full).is_none_or(|(now, full)| now.abs_diff(full) <= slack),
                "{full:?} before, {now:?} now"
            );
            assert!(live <= full);

            pending_token.cancel();
            assert!(pending.await.is_err(), "a link with a pending call still carries cancellation");
            // The links of these are gone, and with them what would tell them; a new call is told again.
            for (key, token) in &kept {
                token.cancel();
                assert_eq!(probing.tell(Action::IsKeptCancelled, *key, &one).await.as_deref(), Some("false"));
                assert_eq!(probing.tell(Action::IsCancelled, *key, token).await.as_deref(), Some("true"));
            }
            unheard.1.cancel();
            assert_eq!(probing.journal(unheard.0).await, "");
            // The shutdown hook waits for the task, which hears retirement.
            let report = probing.host.shutdown().await;
            assert!(report.is_clean(), "{report:?}");
        });
        println!("{}: took {:?}", way.name(), begin.elapsed());
    }
}

async fn calls(probing: &Probing, token: &CancellationToken, count: u32) {
    for _ in 0..count {
        assert_eq!(probing.tell(Action::Answer, 0, token).await, None);
    }
}

/// Calls with a new token each.
async fn fill(probing: &Probing, count: u32) {
    for _ in 0..count {
        assert_eq!(probing.tell(Action::Answer, 0, &CancellationToken::new()).await, None);
    }
}

fn flat(before: usize) {
    // A sanitizer keeps freed memory, and a shadow of all of it (`scripts/sanitize`).
    if sanitized() {
        return;
    }
    let now = resident_bytes();
    println!("resident: {before} before, {now} now");
    assert!(now < before + SLACK, "the process has grown from {before} to {now} bytes");
}
