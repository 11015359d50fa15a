//! What a host knows of its last life: the state directory.

use std::fs;
use std::path::PathBuf;

use futures::executor::block_on;
use mini_chat_plugin_loader::{PluginHost, PluginHostBuilder, PluginStatus, StateDirChoice};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::program::{Running, Signal, command};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, Stamp, bad, good};
use tempfile::TempDir;

/// The name of the library in the directory.
const FILE: &str = "libstamped.so";

/// What outlives a host.
struct Site {
    place: TempDir,
}

/// A host of a site.
struct Life(PluginHost);

impl Site {
    fn new(first: Stamp, config: &str) -> Self {
        let site = Self { place: tempfile::tempdir().unwrap() };
        fs::create_dir(site.path("plugins")).unwrap();
        site.drop_in(first);
        site.configure(config);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn drop_in(&self, stamp: Stamp) {
        stamp.drop_in(&self.path("plugins"), FILE);
    }

    fn configure(&self, text: &str) {
        fs::write(self.path("new.toml"), text).unwrap();
        fs::rename(self.path("new.toml"), self.path("plugins.toml")).unwrap();
    }

    fn builder(&self) -> PluginHostBuilder {
        PluginHost::builder()
            .identity("tests", "1")
            .plugins(self.path("plugins"))
            .config_file(self.path("plugins.toml"))
            .state_dir(StateDirChoice::At(self.path("state")))
            .watch(false)
    }

    fn start(&self) -> Life {
        Life(block_on(self.builder().build()).expect("the host starts"))
    }

    /// The program as a host of this site, serving.
    fn run(&self) -> Running {
        let mut command = command(["run", "--json", "--plugins"]);
        command.arg(self.path("plugins")).arg("--config").arg(self.path("plugins.toml"));
        command.arg("--state-dir").arg(self.path("state"));
        let running = Running::start(command);
        running.stdout_until(|line| line.contains("\"ready\""));
        running
    }
}

impl Life {
    fn status(&self) -> PluginStatus {
        let plugins = self.0.status().plugins;
        plugins.into_iter().find(|plugin| plugin.name == ID).expect("the slot")
    }

    /// Which build answers.
    fn build(&self) -> Result<u64, String> {
        let policy = self.0.model_policy(ID);
        let answer = block_on(policy.get_current_policy_version(Default::default(), CancellationToken::new()));
        answer.map(|info| info.policy_version).map_err(|error| error.to_string())
    }

    fn look(&self) -> &Self {
        self.0.rescan();
        self
    }

    fn until_serves(&self, build: u64) {
        eventually(&format!("build {build} serves"), || self.build() == Ok(build));
        // The supervisor has answered: it is through with the step in which the build began to serve.
        assert!(block_on(self.0.is_alive()));
    }

    fn kinds_in_quarantine(&self) -> Vec<String> {
        self.status().swap.quarantine.iter().map(|build| build.kind.to_string()).collect()
    }

    fn end(self) {
        assert!(block_on(self.0.shutdown()).is_clean());
    }
}

/// With a probation that no test outlives.
fn text(config: &str) -> String {
    format!(
        "[plugins.\"{ID}\"]\ndata_dir = \"data\"\n[plugins.\"{ID}\".probation]\nduration = \"1h\"\n\
         [plugins.\"{ID}\".config]\n{config}\n"
    )
}

#[test]
fn a_restart_drops_no_kind_either() {
    let site = Site::new(good(1), &text(""));
    site.start().end();

    good(2).drop_in_without_audit(&site.path("plugins"), FILE);
    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    assert_eq!(life.kinds_in_quarantine(), ["kinds-dropped"]);
    let why = life.status().swap.last_good.expect("it is not what the directory has");
    assert!(why.contains("does not serve audit"), "{why}");
    let may = text("").replacen('\n', "\nmay_drop_kinds = true\n", 1).replace("1h", "10ms");
    site.configure(&may);
    life.look().until_serves(2);
    assert!(life.kinds_in_quarantine().is_empty());
    eventually("it is proven", || life.status().swap.state == "serving");
    life.end();

    // What was good last is what counts from now on.
    site.configure(&text(""));
    let life = site.start();
    assert_eq!((life.build(), life.status().swap.last_good), (Ok(2), None), "{:#?}", life.status());
    life.end();
}

#[test]
fn with_a_bad_file_in_place_the_last_good_build_serves() {
    let site = Site::new(good(1), &text(""));
    let life = site.start();
    assert_eq!((life.build(), life.status().swap.last_good), (Ok(1), None));
    life.end();

    site.drop_in(bad(2, "create-permanent"));
    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    let why = life.status().swap.last_good.expect("it says that it is not what the directory has");
    assert!(why.contains("this build cannot be created"), "{why}");
    assert_eq!(life.kinds_in_quarantine(), ["create-failed"]);
    let file = life.status().instance.expect("it serves").file.expect("a file");
    assert!(file.starts_with(site.path("state")), "{}", file.display());
    site.drop_in(good(3));
    life.look().until_serves(3);
    assert_eq!(life.status().swap.last_good, None);
    life.end();
}

#[test]
fn a_file_that_nobody_lists_is_known_by_its_place() {
    let site = Site::new(good(1), "");
    site.start().end();
    fs::write(site.path("plugins").join(FILE), "half of a library").unwrap();
    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.0.status());
    assert!(life.status().swap.last_good.is_some());
    life.look();
    site.drop_in(good(2));
    life.look().until_serves(2);
    life.end();
}

#[test]
fn a_plugin_that_was_taken_away_stays_away() {
    let site = Site::new(good(1), "");
    site.start().end();
    fs::remove_file(site.path("plugins").join(FILE)).unwrap();
    let life = site.start();
    assert!(life.0.status().plugins.is_empty(), "{:#?}", life.0.status());
    life.end();
}

#[test]
fn what_was_rolled_back_by_hand_stays_so() {
    let site = Site::new(good(1), &text(""));
    let life = site.start();
    site.drop_in(good(2));
    life.look().until_serves(2);
    block_on(life.0.rollback(ID)).expect("the first stands by");
    life.end();

    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    assert_eq!(life.kinds_in_quarantine(), ["rolled-back"]);
    assert!(life.status().swap.pinned.is_some());
    block_on(life.0.unpin(ID)).expect("there is such a plugin");
    life.until_serves(2);
    life.end();
}

#[test]
fn a_build_on_trial_at_a_sudden_end_is_not_run_into_again() {
    let site = Site::new(good(1), &text(""));
    let running = site.run();
    site.drop_in(good(2));
    running.stdout_until(|line| line.contains("\"serving\"") && line.contains("\"generation\":2"));
    running.signal(Signal::KILL);
    drop(running);

    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    assert_eq!(life.kinds_in_quarantine(), ["unclean-end"]);
    let why = life.status().swap.last_good.expect("it says so");
    assert!(why.contains("came to a sudden end"), "{why}");
    life.end();

    // Nor after that.
    let life = site.start();
    assert_eq!(life.kinds_in_quarantine(), ["unclean-end"]);
    block_on(life.0.unquarantine(ID)).expect("there is such a plugin");
    life.until_serves(2);
    life.end();
}

#[test]
fn a_build_that_takes_its_host_down_does_so_once() {
    let site = Site::new(good(1), &text(""));
    let running = site.run();
    site.drop_in(bad(2, "create-abort"));
    let (code, log) = running.until_killed();
    assert_eq!(code, Signal::ABORT.as_raw(), "{log:#?}");

    let life = site.start();
    assert_eq!((life.build(), life.kinds_in_quarantine()), (Ok(1), vec!["unclean-end".to_owned()]));
    life.end();
}

#[test]
fn an_end_in_order_speaks_against_nobody() {
    let site = Site::new(good(1), &text(""));
    let life = site.start();
    site.drop_in(good(2));
    life.look().until_serves(2);
    assert_eq!(life.status().swap.state, "probation");
    life.end();
    let life = site.start();
    assert_eq!((life.build(), life.kinds_in_quarantine().len()), (Ok(2), 0), "{:#?}", life.status());
    life.end();
}

#[test]
fn what_has_proved_good_takes_the_place_of_what_was() {
    let site = Site::new(good(1), &text("").replace("1h", "10ms"));
    let life = site.start();
    site.drop_in(good(2));
    life.look().until_serves(2);
    eventually("it is proven", || life.status().swap.state == "serving");
    life.end();
    site.drop_in(bad(3, "create-permanent"));
    let life = site.start();
    assert_eq!(life.build(), Ok(2), "{:#?}", life.status());
    life.end();
}

#[test]
fn a_broken_configuration_leaves_the_last_good_one_in_force() {
    let site = Site::new(good(1), &text("models = 7"));
    site.start().end();
    site.configure("[plugins\n");
    let life = site.start();
    assert_eq!(life.build(), Ok(1));
    let refused = life.0.status().config_refused.expect("it says so");
    assert!(refused.contains("plugins.toml"), "{refused}");
    site.configure(&text("models = 8"));
    life.look();
    eventually("it is accepted", || life.0.status().config_refused.is_none());
    life.end();

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("plugins.toml"), "[plugins\n").unwrap();
    let error = block_on(site.builder().config_file(other.path().join("plugins.toml")).build());
    error.expect_err("another file was never good");
}

#[test]
fn settings_that_the_plugin_refuses_leave_it_with_the_last_good_ones() {
    let site = Site::new(good(1), &text("models = 7"));
    site.start().end();
    site.configure(&text("models = \"many\""));
    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    assert!(life.status().swap.last_good.is_some());
    site.configure(&text("models = 8"));
    life.look();
    eventually("it has the new ones", || life.status().swap.last_good.is_none());
    assert_eq!(life.build(), Ok(1));
    life.end();

    // A secret that is gone.
    site.configure(&text("secret = { file = \"gone\" }"));
    let life = site.start();
    assert_eq!(life.build(), Ok(1), "{:#?}", life.status());
    assert!(life.status().swap.last_good.expect("it says so").contains("gone"));
    life.end();
}

#[test]
fn without_a_state_directory_it_serves_and_says_what_is_missing() {
    let site = Site::new(good(1), &text(""));
    let off = Life(block_on(site.builder().state_dir(StateDirChoice::Off).build()).unwrap());
    let state = off.0.status().state;
    assert_eq!((state.dir, state.problem), (None, None));
    off.end();

    fs::write(site.path("file"), "").unwrap();
    let unwritable = StateDirChoice::At(site.path("file"));
    let life = Life(block_on(site.builder().state_dir(unwritable).build()).unwrap());
    assert_eq!(life.build(), Ok(1));
    let problem = life.0.status().state.problem.expect("it says so");
    assert!(problem.contains("expected a directory that can be written to"), "{problem}");
    life.end();

    let life = site.start();
    let second = site.start();
    let problem = second.0.status().state.problem.expect("the first has it");
    assert!(problem.contains("another host uses it"), "{problem}");
    second.end();
    life.end();
}
