//! Every state that can be reached is visited; the table in `ARCHITECTURE.md` is compared with what the machine does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use super::{Candidate, Effect, Event, Machine, Number, Phase};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Build {
    id: u8,
    exclusive: bool,
    rollback: bool,
}

impl Candidate for Build {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    fn is_rollback(&self) -> bool {
        self.rollback
    }

    fn as_rollback(&self) -> Self {
        Self { rollback: true, ..*self }
    }
}

const fn build(id: u8) -> Build {
    Build { id, exclusive: false, rollback: false }
}

/// The world around a machine: what it was asked to do and has not done yet.
#[derive(Debug, Clone, Default)]
struct World {
    machine: Machine<Build>,
    checking: Vec<Build>,
    creating: Vec<Build>,
    serving: Option<Number>,
    live: BTreeSet<Number>,
    ending: BTreeSet<Number>,
    ended: BTreeSet<Number>,
    zombies: BTreeSet<Number>,
    trial: Option<Number>,
    last: Number,
}

impl World {
    fn tell(&mut self, event: Event<Build>) -> Vec<Effect<Build>> {
        let served_before = self.serving;
        match &event {
            Event::Checked(build) | Event::Refused(build) => self.checking.retain(|other| other != build),
            Event::Created(build, number) => {
                self.creating.retain(|other| other != build);
                self.live.insert(*number);
            }
            Event::Failed(build) | Event::Lost(build) => self.creating.retain(|other| other != build),
            Event::Ended(number) => {
                self.ending.remove(number);
                self.zombies.remove(number);
                assert!(self.live.remove(number) && self.ended.insert(*number), "{number} ended twice");
            }
            Event::DrainLimit(number) => assert!(self.zombies.insert(*number)),
            Event::ProbationOver(_) | Event::Tripped(_) => self.trial = None,
            _ => {}
        }
        let effects = self.machine.on(event.clone());
        for effect in &effects {
            match effect {
                Effect::Check(build) => self.checking.push(*build),
                Effect::Create(build) => self.creating.push(*build),
                Effect::HandOver(build) => {
                    assert!(self.serving.is_some(), "there is nothing to hand over from");
                    self.creating.push(*build);
                }
                Effect::Flip(number) => {
                    assert!(self.live.contains(number) && !self.ending.contains(number), "{number} cannot serve");
                    self.serving = Some(*number);
                }
                Effect::Trial(number) => {
                    assert_eq!(self.serving, Some(*number));
                    self.trial = Some(*number);
                }
                Effect::Proven(_) | Effect::Ban(_) => self.trial = None,
                Effect::End(number) => {
                    assert!(self.ending.insert(*number), "{number} is ended twice");
                    assert_ne!(self.serving, Some(*number), "what serves is ended");
                }
                Effect::Vacate => (self.serving, self.trial) = (None, None),
                Effect::Superseded(_) => {}
            }
        }
        self.check(&event, served_before);
        effects
    }

    fn check(&self, event: &Event<Build>, served_before: Option<Number>) {
        // Invariant 1. What is being created counts from the moment it was asked for.
        let counted = self.live.len() - self.zombies.len() + self.creating.len();
        assert!(counted <= 2, "{counted} live generations: {self:#?}");
        assert!(self.creating.len() <= 1, "{self:#?}");
        // Invariant 2.
        for number in &self.live {
            let kept = self.serving == Some(*number) || self.machine.standby() == Some(*number);
            assert!(kept != self.ending.contains(number), "generation {number} is forgotten or used: {self:#?}");
        }
        // Invariant 3.
        let may_empty = matches!(event, Event::Disabled | Event::Shutdown | Event::Lost(_));
        assert!(may_empty || served_before.is_none() || self.serving.is_some(), "{event:?} emptied the slot");
        assert!(self.trial.is_none() || self.trial == self.serving, "{self:#?}");
        if self.machine.under_way().is_some() {
            let busy = !self.checking.is_empty() || !self.creating.is_empty() || !self.ending.is_empty();
            assert!(busy, "a candidate waits for nothing: {self:#?}");
        }
    }

    /// What may happen next.
    fn events(&self, builds: &[Build]) -> Vec<Event<Build>> {
        let mut events = vec![Event::Withdrawn, Event::RollBack, Event::Orphaned, Event::Disabled, Event::Shutdown];
        events.extend(builds.iter().map(|build| Event::Offered(*build)));
        events.extend(self.checking.iter().flat_map(|build| [Event::Checked(*build), Event::Refused(*build)]));
        for build in &self.creating {
            events.extend([Event::Created(*build, self.last + 1), Event::Failed(*build), Event::Lost(*build)]);
        }
        for number in &self.ending {
            events.push(Event::Ended(*number));
            if !self.zombies.contains(number) {
                events.push(Event::DrainLimit(*number));
            }
        }
        events.extend(self.trial.iter().flat_map(|number| [Event::Tripped(*number), Event::ProbationOver(*number)]));
        events
    }

    fn step(&self, event: &Event<Build>) -> (Self, Vec<Effect<Build>>) {
        let mut next = self.clone();
        if let Event::Created(_, number) = event {
            next.last = *number;
        }
        let effects = next.tell(event.clone());
        (next, effects)
    }

    /// The world up to the numbers of generations: states that differ in those only are one.
    fn shape(&self) -> String {
        let mut numbers: Vec<Number> = self.live.iter().copied().collect();
        numbers.sort_unstable();
        let place = |number: &Number| numbers.iter().position(|other| other == number);
        let set = |set: &BTreeSet<Number>| set.iter().filter_map(place).collect::<Vec<_>>();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.machine.phase(),
            self.machine.serving(),
            self.machine.under_way(),
            self.machine.rollback_to(),
            self.machine.standby().as_ref().and_then(place),
            self.checking,
            self.creating,
            self.serving.as_ref().and_then(place),
            set(&self.ending),
            set(&self.zombies),
            self.trial.is_some(),
        )
    }
}

/// Visits every state within `depth` events, each shape once.
fn explore(builds: &[Build], depth: usize) -> BTreeSet<Phase> {
    let mut seen = BTreeSet::new();
    let mut phases = BTreeSet::new();
    let mut todo = VecDeque::from([(World::default(), 0)]);
    while let Some((world, steps)) = todo.pop_front() {
        if !seen.insert(world.shape()) {
            continue;
        }
        phases.insert(world.machine.phase());
        // Checks that nobody waits for pile up if nothing but offers happens.
        if steps == depth || world.checking.len() > 2 || world.zombies.len() > 2 {
            continue;
        }
        for event in world.events(builds) {
            todo.push_back((world.step(&event).0, steps + 1));
        }
    }
    println!("{} states", seen.len());
    phases
}

#[test]
fn no_order_of_events_breaks_an_invariant() {
    let phases = explore(&[build(1), build(2), build(3)], 9);
    assert_eq!(phases.len(), 10, "every state is reached: {phases:?}");
}

#[test]
fn nor_with_builds_that_cannot_be_alive_side_by_side() {
    let exclusive = |id| Build { exclusive: true, ..build(id) };
    explore(&[exclusive(1), exclusive(2), build(3)], 9);
}

/// The ways into the states of the table, by events that cannot fail.
fn ways() -> Vec<(Phase, Vec<Event<Build>>)> {
    let (a, b, c) = (build(1), build(2), build(3));
    let serving = vec![Event::Offered(a), Event::Checked(a), Event::Created(a, 1)];
    let probation = [serving.clone(), vec![Event::Offered(b), Event::Checked(b), Event::Created(b, 2)]].concat();
    let draining = [probation.clone(), vec![Event::ProbationOver(2)]].concat();
    let with = |way: &[Event<Build>], event: Event<Build>| [way.to_vec(), vec![event]].concat();
    vec![
        (Phase::Empty, vec![]),
        (Phase::Starting, with(&[], Event::Offered(a))),
        (Phase::Serving, serving.clone()),
        (Phase::Replacing, with(&serving, Event::Offered(b))),
        (Phase::Probation, probation.clone()),
        (Phase::ProbationReplacing, with(&probation, Event::Offered(c))),
        (Phase::Draining, draining.clone()),
        (Phase::DrainingReplacing, with(&draining, Event::Offered(c))),
        (Phase::Stopping, with(&serving, Event::Disabled)),
        (Phase::Ended, with(&serving, Event::Shutdown)),
    ]
}

/// The rows of the table: event, as people say it, and what that is for a world in some state.
fn rows(world: &World) -> Vec<(&'static str, Option<Event<Build>>)> {
    let checking = world.checking.last().copied();
    let ending = world.ending.first().copied();
    // Where a candidate is still in its checks, creating it is what comes next: the row is about both steps.
    let created = |outcome: fn(Build, Number) -> Event<Build>| {
        world.creating.last().copied().map(|build| outcome(build, world.last + 1))
    };
    vec![
        ("new file", Some(Event::Offered(build(9)))),
        ("checks passed", checking.map(Event::Checked)),
        ("bad file", checking.map(Event::Refused)),
        ("create or health failed", created(|build, _| Event::Failed(build))),
        ("created and healthy", created(Event::Created)),
        ("handover failed, and so did the resume", created(|build, _| Event::Lost(build))),
        ("drained", ending.map(Event::Ended)),
        ("drain limit", ending.map(Event::DrainLimit)),
        ("probation tripped", world.trial.map(Event::Tripped)),
        ("probation over", world.trial.map(Event::ProbationOver)),
        ("rollback asked for", Some(Event::RollBack)),
        ("file back to what serves", Some(Event::Withdrawn)),
        ("orphaned", Some(Event::Orphaned)),
        ("disabled", Some(Event::Disabled)),
        ("shutdown", Some(Event::Shutdown)),
    ]
}

fn words(effects: &[Effect<Build>], before: &World) -> String {
    let who = |number: &Number| {
        if before.serving == Some(*number) {
            "what served"
        } else if before.machine.standby() == Some(*number) {
            "what stood by"
        } else {
            "the new one"
        }
    };
    let words: Vec<String> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Check(_) => "check it".to_owned(),
            Effect::Create(_) => "create it".to_owned(),
            Effect::HandOver(_) => "hand over".to_owned(),
            Effect::Flip(number) => format!("flip to {}", who(number)),
            Effect::Trial(_) => "begin probation".to_owned(),
            Effect::Proven(_) => "it is proven".to_owned(),
            Effect::Ban(_) => "ban its content".to_owned(),
            Effect::End(number) => format!("end {}", who(number)),
            Effect::Vacate => "vacate".to_owned(),
            Effect::Superseded(_) => "leave the one under way".to_owned(),
        })
        .collect();
    words.join(", ")
}

fn table() -> String {
    let mut table = "| state | event | state then | what is done |\n| --- | --- | --- | --- |\n".to_owned();
    for (phase, way) in ways() {
        let mut world = World::default();
        for event in way {
            world = world.step(&event).0;
        }
        assert_eq!(world.machine.phase(), phase);
        let mut worlds = vec![(phase.name().to_owned(), world.clone())];
        // The same state, one step on: the candidate is being created.
        if let Some(checking) = world.checking.last() {
            let (creating, _) = world.step(&Event::Checked(*checking));
            if !creating.creating.is_empty() && creating.machine.phase() == phase {
                worlds.push((format!("{}, creating", phase.name()), creating));
            }
        }
        let mut ignored: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, world) in worlds {
            for (event_name, event) in rows(&world) {
                let Some(event) = event else { continue };
                let (after, effects) = world.step(&event);
                let (then, done) = (after.machine.phase().name(), words(&effects, &world));
                if then == phase.name() && effects.is_empty() && after.machine == world.machine {
                    ignored.entry(name.clone()).or_default().push(event_name);
                } else {
                    writeln!(table, "| {name} | {event_name} | {then} | {done} |").expect("a String takes it");
                }
            }
            if let Some(events) = ignored.remove(&name) {
                writeln!(table, "| {name} | {} | {name} | nothing |", events.join("; ")).expect("a String takes it");
            }
        }
    }
    table
}

#[test]
fn the_table_in_the_architecture_is_what_the_machine_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).expect("ARCHITECTURE.md");
    let (begin, end) = ("<!-- transitions -->\n", "<!-- end of transitions -->");
    let found = text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(table, _)| table.trim());
    let table = table();
    assert_eq!(found.unwrap_or_default(), table.trim(), "the table should be:\n{table}");
}
