//! The main job, shown: a host serves two plugins from a directory, all nine methods are called across the boundary, and
//! every answer is compared with that of the same code linked statically.
//!
//! Usage: `demo WORK`, where WORK has `plugins.toml` and `plugins/*.so` as `./scripts/demo` lays them out. Exit 0 only if
//! every answer is equal.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::{PluginsConfig, ProcessSecrets};
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{self, TestContext};

const POLICY: &str = "acme.policy._.static.v1";
const AUDIT: &str = "acme.audit._.jsonl.v1";

type AnyError = Box<dyn std::error::Error>;

/// Compares and tells.
#[derive(Default)]
struct Comparison {
    differences: usize,
}

impl Comparison {
    fn show<T: Debug, E: Debug>(&mut self, method: &str, loaded: &Result<T, E>, linked: &Result<T, E>) {
        let (loaded, linked) = (format!("{loaded:?}"), format!("{linked:?}"));
        let equal = loaded == linked;
        println!("  {method:<28}{}", if equal { "equal to linked code" } else { "DIFFERS FROM LINKED CODE" });
        println!("      {}", shortened(&loaded));
        if !equal {
            self.differences += 1;
            println!("      linked: {linked}");
        }
    }
}

fn shortened(text: &str) -> String {
    const WIDTH: usize = 150;
    let count = text.chars().count();
    if count <= WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDTH).collect();
    format!("{start}… ({count} characters)")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, AnyError> {
    let Some(work) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("usage: demo WORK (run ./scripts/demo, which lays WORK out)".into());
    };
    tracing_subscriber::fmt().with_target(false).without_time().with_writer(std::io::stdout).init();

    println!("\n== the host starts on {}", work.join("plugins").display());
    let config = PluginsConfig::load(&work.join("plugins.toml"))?;
    let host = PluginHost::builder()
        .identity("demo", env!("CARGO_PKG_VERSION"))
        .config(config.clone())
        .plugins(work.join("plugins"))
        .build()
        .await?;
    for plugin in host.status().plugins {
        match (plugin.instance, plugin.reason) {
            (Some(instance), _) => println!(
                "  {}: version {} serves {}, sha256 {}",
                plugin.name,
                instance.version,
                instance.kinds.join(" and "),
                instance.digest.map(|digest| digest.short()).unwrap_or_default()
            ),
            (None, reason) => {
                println!("  {}: not serving: {}", plugin.name, reason.map(|why| why.1).unwrap_or_default())
            }
        }
    }

    let linked_dir = work.join("linked");
    let mut comparison = Comparison::default();
    println!("\n== model policy: five methods across the boundary");
    let linked = linked_policy(&config).await?;
    policy_calls(&mut comparison, &*host.model_policy(POLICY), &linked).await?;

    println!("\n== audit: four methods across the boundary");
    let context = TestContext::new(AUDIT).with_data_dir(&linked_dir);
    let linked = jsonl_audit::JsonlAudit::create(context.context(), testing::read_config("{}")?).await?;
    audit_calls(&mut comparison, &*host.audit(AUDIT), &linked).await?;
    linked.shutdown().await?;
    drop(linked);

    println!("\n== the host ends");
    let report = host.shutdown().await;
    for plugin in &report.plugins {
        println!(
            "  {}: abandoned calls {}, shutdown {}",
            plugin.name,
            plugin.abandoned_calls,
            plugin.shutdown_error.as_deref().unwrap_or("clean")
        );
    }
    same_files(&mut comparison, &work.join("data/audit.jsonl"), &linked_dir.join("audit.jsonl"))?;

    println!();
    if comparison.differences == 0 && report.is_clean() {
        println!("demo: every answer of the loaded plugins equals that of the same code linked statically");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("demo: {} differences; clean end: {}", comparison.differences, report.is_clean());
        Ok(ExitCode::FAILURE)
    }
}

/// The same policy code, linked into this program, with the configuration of the loaded one.
async fn linked_policy(config: &PluginsConfig) -> Result<static_policy::StaticPolicy, AnyError> {
    let entry = config.plugins.iter().find(|entry| entry.name == POLICY).ok_or("plugins.toml has no static policy")?;
    let resolved = entry.config.resolve(&ProcessSecrets)?;
    let context = TestContext::new(POLICY);
    Ok(static_policy::StaticPolicy::create(context.context(), testing::read_config(resolved.as_json())?).await?)
}

async fn policy_calls(
    comparison: &mut Comparison,
    loaded: &dyn MiniChatModelPolicyPluginClientV1,
    linked: &dyn MiniChatModelPolicyPluginClientV1,
) -> Result<(), AnyError> {
    let user: Uuid = "018f0000-0000-7000-8000-000000000002".parse()?;
    let token = CancellationToken::new;
    let version = loaded.get_current_policy_version(user, token()).await;
    comparison.show("get_current_policy_version", &version, &linked.get_current_policy_version(user, token()).await);
    let current = version?.policy_version;
    for version in [current, current - 1, current + 1] {
        comparison.show(
            &format!("get_policy_snapshot({version})"),
            &loaded.get_policy_snapshot(user, version, token()).await,
            &linked.get_policy_snapshot(user, version, token()).await,
        );
    }
    comparison.show(
        "get_user_limits",
        &loaded.get_user_limits(user, current, token()).await,
        &linked.get_user_limits(user, current, token()).await,
    );
    comparison.show(
        "check_user_license",
        &loaded.check_user_license(user, token()).await,
        &linked.check_user_license(user, token()).await,
    );
    let usage: UsageEvent = fixture("UsageEvent")?;
    comparison.show(
        "publish_usage",
        &loaded.publish_usage(usage.clone(), token()).await,
        &linked.publish_usage(usage, token()).await,
    );
    Ok(())
}

async fn audit_calls(
    comparison: &mut Comparison,
    loaded: &dyn MiniChatAuditPluginClientV1,
    linked: &dyn MiniChatAuditPluginClientV1,
) -> Result<(), AnyError> {
    let event: TurnAuditEvent = fixture("TurnAuditEvent")?;
    let answer = loaded.emit_turn_audit(event.clone()).await;
    comparison.show("emit_turn_audit", &answer, &linked.emit_turn_audit(event).await);
    let event: TurnRetryAuditEvent = fixture("TurnRetryAuditEvent")?;
    let answer = loaded.emit_turn_retry_audit(event.clone()).await;
    comparison.show("emit_turn_retry_audit", &answer, &linked.emit_turn_retry_audit(event).await);
    let event: TurnEditAuditEvent = fixture("TurnEditAuditEvent")?;
    let answer = loaded.emit_turn_edit_audit(event.clone()).await;
    comparison.show("emit_turn_edit_audit", &answer, &linked.emit_turn_edit_audit(event).await);
    let event: TurnDeleteAuditEvent = fixture("TurnDeleteAuditEvent")?;
    let answer = loaded.emit_turn_delete_audit(event.clone()).await;
    comparison.show("emit_turn_delete_audit", &answer, &linked.emit_turn_delete_audit(event).await);
    Ok(())
}

/// An event as the real host writes it.
fn fixture<T: mini_chat_plugin_sdk::serde::de::DeserializeOwned>(name: &str) -> Result<T, AnyError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/mini-chat/full").join(format!("{name}.json"));
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// What both audit plugins wrote.
fn same_files(comparison: &mut Comparison, loaded: &Path, linked: &Path) -> Result<(), AnyError> {
    let (loaded_text, linked_text) = (fs::read_to_string(loaded)?, fs::read_to_string(linked)?);
    println!("  {} has {} lines; the first:", loaded.display(), loaded_text.lines().count());
    println!("      {}", shortened(loaded_text.lines().next().unwrap_or_default()));
    if loaded_text != linked_text || loaded_text.lines().count() != 4 {
        comparison.differences += 1;
        println!("      DIFFERS from what the linked plugin wrote:\n{linked_text}");
    }
    Ok(())
}
