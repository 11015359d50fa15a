//! The main job, shown: a host serves plugins from a directory, all nine methods are called across the boundary, and every
//! answer is compared with that of the same code linked statically. The policy methods are called on two plugins: one that
//! answers from its configuration, and one that asks a service, which also sees how a call in flight is cancelled.
//!
//! At the end, builds of a plugin replace each other under calls.
//!
//! Usage: `demo WORK STAMPED`, where WORK has `plugins.toml` and `plugins/*.so` as `./scripts/demo` lays them out, and STAMPED
//! is the library of the fixture `stamped`. Exit 0 only if every answer is equal and no call failed that should not.

mod calls;
mod comparison;
mod service;
mod swap;

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

fn main() -> Result<ExitCode, AnyError> {
    // Before everything else: this program also tries the plugins, in processes of their own.
    mini_chat_plugin_loader::preflight_child();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(demo())
}

async fn demo() -> Result<ExitCode, AnyError> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(work), Some(stamped)) = (args.next(), args.next()) else {
        return Err("usage: demo WORK STAMPED (run ./scripts/demo, which lays WORK out)".into());
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

    let swaps_went_well = swap::show(&host, &work, &stamped)?;

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
    if comparison.differences == 0 && swaps_went_well && report.is_clean() {
        println!(
            "demo: every answer of the loaded plugins equals that of the same code linked statically, and no call failed \
             while builds were replaced"
        );
        Ok(ExitCode::SUCCESS)
    } else {
        println!(
            "demo: {} differences; swaps as they should be: {swaps_went_well}; clean end: {}",
            comparison.differences,
            report.is_clean()
        );
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
