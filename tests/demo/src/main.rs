//! The main job, shown: a host serves plugins from a directory, all nine methods are called across the boundary, and every
//! answer is compared with that of the same code linked statically. The policy methods are called on two plugins: one that
//! answers from its configuration, and one that asks a service, which also sees how a call in flight is cancelled.
//!
//! Usage: `demo WORK`, where WORK has `plugins.toml` and `plugins/*.so` as `./scripts/demo` lays them out. Exit 0 only if
//! every answer is equal.

mod calls;
mod comparison;
mod service;

use std::path::PathBuf;
use std::process::ExitCode;

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::{PluginsConfig, ProcessSecrets};
use mini_chat_plugin_sdk::testing::{self, TestContext};
use policy_server::{PolicyServer, Script};

use calls::{audit_calls, policy_calls, same_files};
use comparison::Comparison;

const POLICY: &str = "acme.policy._.static.v1";
const AUDIT: &str = "acme.audit._.jsonl.v1";

type AnyError = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, AnyError> {
    let Some(work) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("usage: demo WORK (run ./scripts/demo, which lays WORK out)".into());
    };
    tracing_subscriber::fmt().with_target(false).without_time().with_writer(std::io::stdout).init();

    println!("\n== the host starts on {}", work.join("plugins").display());
    let config = PluginsConfig::load(&work.join("plugins.toml"))?;
    let service = PolicyServer::start(Script::default());
    let host = PluginHost::builder()
        .identity("demo", env!("CARGO_PKG_VERSION"))
        .config(config.clone())
        .plugin(service::entry(&service)?)
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
    service::show(&mut comparison, &host, &service).await?;

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
