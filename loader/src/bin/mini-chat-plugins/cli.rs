//! The command line.

mod running;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};
use mini_chat_plugin_loader::config::PluginsConfig;
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_loader::preflight::PreflightLevel;
use mini_chat_plugin_loader::verify::{ReadLimits, VerifyPolicy};
use mini_chat_plugin_loader::{OnFailure, PluginHostBuilder};

use crate::exit::Exit;
use crate::failure::Failure;
pub(crate) use running::{ControlArgs, EventsArgs, HostArgs, InstallArgs, NameArgs, StatusArgs, SwapArgs};

/// Host mini-chat plugins, look at them, call them.
#[derive(Debug, Parser)]
#[command(name = "mini-chat-plugins", version, after_help = Exit::help(), max_term_width = 100)]
pub(crate) struct Cli {
    /// When to use colour; `auto` is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Host plugins until SIGTERM or Ctrl-C
    ///
    /// Once the plugins serve, stdout gets a line that begins with `ready` (with --json: {"event":"ready",…}); then one for
    /// each event, such as `serving …`, `refused …`, `rolled_back …`; when a signal arrives, `ending …`, and last `ended …`.
    /// A changed file in a plugin directory, plugins.toml or secret is a swap by itself; SIGHUP looks for changes at once. The log goes to stderr, filtered by MINI_CHAT_LOG or RUST_LOG
    /// (default: info). The first signal ends the host gracefully, a second one leaves at once.
    #[command(after_help = Exit::help())]
    Run(RunArgs),
    /// What stands in plugin directories, and what of it would serve; no code of the files runs
    ///
    /// Looks at files and asks no host: what a running host serves is shown by `status`.
    #[command(after_help = Exit::help())]
    List(ListArgs),
    /// Everything about one file; no code of it runs
    #[command(after_help = Exit::help())]
    Inspect(InspectArgs),
    /// Call one method of one plugin once, JSON in and out
    ///
    /// Starts that one plugin, calls, and ends it. Prints {"ok":…} or {"error":{"kind":…,"message":…}}.
    #[command(after_help = Exit::help())]
    Call(Box<CallArgs>),
    /// Try plugins as a host would before it maps them: each in a process of its own
    ///
    /// Verifies each file, then maps it in a child process, which reads its configuration, and, if the plugin allows,
    /// creates an instance, asks its health and ends it. Each is tried with the settings of every entry of plugins.toml
    /// that names it, or with default ones. What the plugin does to its process it does to nothing else.
    #[command(after_help = Exit::help())]
    Check(CheckArgs),
    /// Check a plugin file, put it into a plugin directory in one step, and wait for the host's verdict
    ///
    /// The file is checked as by `check`; a refused one changes nothing. It is written beside its place, flushed and renamed
    /// into it, so that nobody meets half a file. With --wait the running host is asked what becomes of it: exit code 0 once
    /// it serves and its probation has ended well (at once for the first build of a plugin, which has none), 1 if it is
    /// refused or taken back. A file that is refused by the host or taken back stays where it is; the host does not try its
    /// content again.
    #[command(after_help = Exit::help())]
    Install(Box<InstallArgs>),
    /// How a running host stands: what serves since when, what is wrong, what is left
    #[command(after_help = Exit::help())]
    Status(StatusArgs),
    /// Let a running host serve a file from anywhere, until its plugin directories have something new
    #[command(after_help = Exit::help())]
    Swap(SwapArgs),
    /// Let a running host create a plugin anew, with configuration and secrets read now
    #[command(after_help = Exit::help())]
    Reload(NameArgs),
    /// Let a running host serve what served before the last swap; pinned until `unpin`, or until something new comes
    #[command(after_help = Exit::help())]
    Rollback(NameArgs),
    /// Let the plugin directories decide again what serves, after `swap` or `rollback`
    #[command(after_help = Exit::help())]
    Unpin(NameArgs),
    /// Let a running host try again the builds of a plugin that it had given up
    #[command(after_help = Exit::help())]
    Unquarantine(NameArgs),
    /// What happens in a running host, a line per event, as `run` prints them
    #[command(after_help = Exit::help())]
    Events(EventsArgs),
}

/// What files must be.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// plugins.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Ask nothing about the owner and mode of plugin files; for development only
    #[arg(long)]
    pub(crate) allow_insecure: bool,
}

impl FileArgs {
    /// Reads plugins.toml, if one was named.
    pub(crate) fn load(&self) -> Result<Option<PluginsConfig>, Failure> {
        Ok(self.config.as_deref().map(PluginsConfig::load).transpose()?)
    }

    /// What a host with this configuration accepts.
    pub(crate) fn accepted(&self, config: Option<&PluginsConfig>) -> (ReadLimits, VerifyPolicy) {
        let (mut limits, mut policy) = (self.limits(), VerifyPolicy::default());
        if let Some(config) = config {
            limits.ownership.trusted_uids.extend(&config.host.trusted_uids);
            policy.allow_needed.extend(config.host.allow_needed.iter().cloned());
        }
        (limits, policy)
    }

    /// A host that accepts that; it reads the configuration's share itself.
    pub(crate) fn host(&self) -> PluginHostBuilder {
        mini_chat_plugin_loader::PluginHost::builder()
            .identity(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"))
            .read_limits(self.limits())
    }

    fn limits(&self) -> ReadLimits {
        let mut limits = ReadLimits::default();
        limits.ownership.allow_insecure = self.allow_insecure;
        limits
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Directories with plugins: every usable *.so in them is served
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub(crate) plugins: Vec<PathBuf>,
    /// Where to keep what must be known after a restart: the last good builds and plugins.toml, and what must not be tried
    /// again. Default: @host in systemd's $STATE_DIRECTORY; without that nothing is kept
    #[arg(long, value_name = "DIR", env = "MINI_CHAT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Write events as lines of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// What happens when a required plugin does not serve at start
    #[arg(long, value_name = "WHAT", default_value = "degraded")]
    pub(crate) on_failure: OnFailureArg,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    /// Answer /healthz, /readyz and /metrics (for Prometheus) over HTTP there; with port 0 the system chooses one, and
    /// the line `listening addr=…` on stdout names it. To whoever can reach the address, so choose it accordingly
    #[arg(long, value_name = "ADDRESS:PORT", env = "MINI_CHAT_LISTEN")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnFailureArg {
    /// Serve without it
    Degraded,
    /// Exit with code 69
    Fail,
}

impl From<OnFailureArg> for OnFailure {
    fn from(arg: OnFailureArg) -> Self {
        match arg {
            OnFailureArg::Degraded => Self::StartDegraded,
            OnFailureArg::Fail => Self::Fail,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Directories with plugins
    #[arg(required = true, value_name = "DIR")]
    pub(crate) directories: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A plugin file, or a directory with plugins
    #[arg(value_name = "FILE|DIR")]
    pub(crate) plugin: PathBuf,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// How far to go at most
    #[arg(long, value_name = "LEVEL", default_value = "create")]
    pub(crate) level: LevelArg,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LevelArg {
    /// Map it, compare its ABI, read its configuration
    Open,
    /// Also create an instance and ask its health, if the plugin allows
    Create,
}

impl From<LevelArg> for PreflightLevel {
    fn from(arg: LevelArg) -> Self {
        match arg {
            LevelArg::Open => Self::Open,
            LevelArg::Create => Self::Create,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// A plugin file, or a directory with plugins
    #[arg(value_name = "FILE|DIR")]
    pub(crate) plugin: PathBuf,
    /// The method
    #[arg(value_parser = methods())]
    pub(crate) method: Method,
    /// The arguments: an object with the names of the trait, such as {"user_id":"…","policy_version":7}; `@FILE` reads
    /// them from a file, `-` from stdin. An event may also stand by itself
    #[arg(long, value_name = "ARGS|@FILE|-")]
    pub(crate) json: String,
    /// The instance: a name of plugins.toml, or a plugin's id. Needed when several plugins have the method
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The plugin's configuration, instead of that of plugins.toml
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) plugin_config: Option<String>,
    /// How long to wait for the answer, such as 500ms or 2m; the plugin then runs on threads of its own, so that this
    /// holds even if it blocks
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// By name; an unknown one is answered with the nearest and the list.
fn methods() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name))
        .try_map(|name| Method::from_name(&name).ok_or("no such method"))
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_coherent() {
        super::Cli::command().debug_assert();
    }
}
