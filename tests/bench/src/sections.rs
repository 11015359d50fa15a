//! The parts of a run. Each is a process of its own: a recorder of metrics and a subscriber are there for good once they are.

use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::audit::FanOutConfig;
use mini_chat_plugin_loader::config::ExecutionMode;
use regex::Regex;
use tokio::runtime::Builder;

use crate::calls::{self, Case, Executor, Plugin};
use crate::contest::{Effort, Row, Way, contest};
use crate::hosts::{self, MODES, asking, entry, loaded, serving};
use crate::lifecycle;
use crate::loopback::Server;

/// What a part needs.
pub struct Part<'a> {
    /// Its name in the rows.
    pub name: &'static str,
    /// The measured plugin.
    pub library: &'a Path,
    /// How long to measure.
    pub effort: Effort,
    /// What a filter on the command line lets through.
    pub criterion: Criterion,
    /// That filter, for what criterion does not run.
    pub filter: Option<Regex>,
    /// What was found so far.
    pub rows: Vec<Row>,
}

/// Measures a part.
pub type Measure = fn(&mut Part<'_>);

/// The parts by name, in the order in which they run.
pub const ALL: [(&str, Measure); 3] = [("bare", bare), ("as shipped", as_shipped), ("lifecycle", lifecycle::measure)];

/// In the three modes, without what a program that is shipped installs.
fn bare(part: &mut Part<'_>) {
    part.measure(&MODES);
}

/// The same with what it installs, in the mode that is the default.
fn as_shipped(part: &mut Part<'_>) {
    hosts::ship();
    part.measure(&[("adaptive", ExecutionMode::Adaptive), ("isolated", ExecutionMode::Isolated)]);
}

/// For a profiler: calls of one case, found by a part of its name, `linked` or in one of the modes.
pub fn repeat(library: &Path, case: &str, way: &str, calls: u64) -> Option<Duration> {
    let cases = calls::ready().into_iter().chain(calls::other()).chain([calls::large()]);
    let case = cases.into_iter().find(|known| known.name.contains(case))?;
    let executor = Executor::current();
    if way == "linked" {
        return Some(executor.run(&case, &Plugin::linked(), calls));
    }
    let (name, mode) = MODES.into_iter().find(|(name, _)| *name == way)?;
    let host = serving(library, [entry(name, mode)]);
    let plugin = loaded(&host, name);
    // What happens once.
    executor.run(&case, &plugin, 2000);
    let took = executor.run(&case, &plugin, calls);
    drop(plugin);
    end(host);
    Some(took)
}

fn end(host: PluginHost) {
    let report = hosts::waiting().block_on(host.shutdown());
    assert!(report.is_clean(), "{report:?}");
}

impl Part<'_> {
    /// All of it in these modes; two callers and fan-outs in the first.
    fn measure(&mut self, modes: &[(&'static str, ExecutionMode)]) {
        let host = serving(self.library, modes.iter().map(|(name, mode)| entry(name, *mode)));
        let plugins: Vec<_> = modes.iter().map(|(name, _)| (*name, loaded(&host, name))).collect();
        self.calls(&plugins);
        self.two_callers(&plugins[0]);
        self.on(&Executor::current(), "", &calls::large(), &Plugin::linked(), &plugins);
        self.fan_outs(modes[0]);
        end(host);
        self.http(modes);
    }

    fn contest(&mut self, case: &str, ways: &[Way<'_>]) {
        self.rows.extend(contest(&mut self.criterion, self.effort, (self.name, case), ways));
    }

    /// The linked plugin against each of these, on the two kinds of host.
    fn calls(&mut self, loaded: &[(&'static str, Plugin)]) {
        let linked = Plugin::linked();
        let (current, multi) = (Executor::current(), Executor::multi());
        for case in calls::ready().iter().chain(&calls::other()) {
            self.on(&current, "", case, &linked, loaded);
        }
        self.on(&multi, ", multi_thread host", &calls::smallest(), &linked, loaded);
        for case in calls::other() {
            self.on(&multi, ", multi_thread host", &case, &linked, loaded);
        }
        self.hop(&current, &linked, loaded);
    }

    fn on(&mut self, executor: &Executor, host: &str, case: &Case, linked: &Plugin, loaded: &[(&'static str, Plugin)]) {
        let way = |name, plugin| {
            let way = Way::new(name, move |calls| executor.run(case, plugin, calls));
            // A task may go on on another worker.
            if matches!(executor, Executor::Multi(_)) { way.on_threads() } else { way }
        };
        // Apart: a sample has as many calls as the slow way has time for.
        let (isolated, others): (Vec<_>, Vec<_>) = loaded.iter().partition(|(name, _)| *name == "isolated");
        for (what, loaded) in [("", others), (", isolated", isolated)] {
            let ways = [("linked", linked)].into_iter().chain(loaded.iter().map(|(name, plugin)| (*name, plugin)));
            let ways: Vec<_> = ways.map(|(name, plugin)| way(name, plugin)).collect();
            self.contest(&format!("{}{host}{what}", case.name), &ways);
        }
    }

    /// What isolates, against the least that isolating can cost: the linked plugin on another runtime.
    fn hop(&mut self, executor: &Executor, linked: &Plugin, loaded: &[(&'static str, Plugin)]) {
        let Some((_, isolated)) = loaded.iter().find(|(name, _)| *name == "isolated") else { return };
        let other = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let case = calls::smallest();
        let hop = calls::hopping(other.handle().clone());
        self.contest(
            "a hop to another runtime and back",
            &[
                Way::new("linked there", |calls| executor.run(&hop, linked, calls)),
                Way::new("isolated", |calls| executor.run(&case, isolated, calls)),
            ],
        );
    }

    fn two_callers(&mut self, (name, loaded): &(&'static str, Plugin)) {
        let (case, linked) = (calls::smallest(), Plugin::linked());
        let executor = Executor::current();
        for (callers, two) in [("one caller", false), ("two callers", true)] {
            let run = |plugin: &Plugin, calls| {
                if two { calls::two_callers(&case, plugin, calls) } else { executor.run(&case, plugin, calls) }
            };
            let ways = [
                Way::new("linked", |calls| run(&linked, calls)).on_threads(),
                Way::new(name, |calls| run(loaded, calls)).on_threads(),
            ];
            self.contest(&format!("{}, {callers}", case.name), &ways);
        }
    }

    /// A call that waits for a server. A linked plugin for each kind of host, as the runtime that opened a connection drives it.
    fn http(&mut self, modes: &[(&'static str, ExecutionMode)]) {
        let server = Server::start();
        let host = serving(self.library, modes.iter().map(|(name, mode)| asking(name, *mode, server.address)));
        let plugins: Vec<_> = modes.iter().map(|(name, _)| (*name, loaded(&host, name))).collect();
        for (executor, kind) in Executor::connected().iter().zip(["", ", multi_thread host"]) {
            let linked = Plugin::configured(&measured::Config { upstream: Some(server.address) });
            self.on(executor, kind, &calls::asks(), &linked, &plugins);
        }
        drop(plugins);
        end(host);
    }

    /// Audit fan-outs to several instances, without the sanitiser, against as many linked plugins in a row.
    fn fan_outs(&mut self, (way, mode): (&'static str, ExecutionMode)) {
        let executor = Executor::current();
        for plugins in [1, 2, 4, 8] {
            let names: Vec<_> = (0..plugins).map(|number| format!("member{number}")).collect();
            let host = serving(self.library, names.iter().map(|name| entry(name, mode)));
            let mut config = FanOutConfig::default();
            config.sanitize = false;
            let fan_out = Plugin { audit: host.audit_fan_out(config), ..Plugin::linked() };
            let row = Plugin { audit: calls::in_a_row(plugins), ..Plugin::linked() };
            let case = calls::audit(16);
            let ways = [
                Way::new("linked", |calls| executor.run(&case, &row, calls)),
                Way::new(way, |calls| executor.run(&case, &fan_out, calls)),
            ];
            self.contest(&format!("fan-out to {plugins}, 16 KiB"), &ways);
            drop(ways);
            drop(fan_out);
            end(host);
        }
    }
}
