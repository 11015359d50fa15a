//! How long a plugin may take: one deadline per method and the limits of its life cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use super::section::Section;
use super::source::Report;
use crate::error::{ConfigError, ConfigProblem, ProblemKind};
use crate::method::{Kind, Method};

/// The longest limit accepted: a day. Beyond it a typing error is likelier than a wish.
pub const MAX_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys of `[plugins.NAME.limits]`.
pub(crate) const KEYS: &[&str] =
    &["policy", "publish_usage", "audit", "create", "health", "drain", "hold", "grace", "methods"];

/// The limits of one plugin instance. `Default` gives those of an absent `[plugins.NAME.limits]`.
///
/// A value made in code is checked with [`Limits::check`]; one read from a file has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deadline of the policy methods other than `publish_usage`; 5 s.
    pub policy: Duration,
    /// Deadline of `publish_usage`; 20 s.
    pub publish_usage: Duration,
    /// Deadline of the audit methods; 25 s.
    pub audit: Duration,
    /// Limit of the plugin's constructor; 30 s.
    pub create: Duration,
    /// Limit of the plugin's health check; 5 s.
    pub health: Duration,
    /// How long a replaced generation may finish its calls; 30 s. At least the longest method deadline + `grace`.
    pub drain: Duration,
    /// How long calls may be held while an exclusive plugin is swapped; 2 s.
    pub hold: Duration,
    /// How long a cancelled call may still take to end by itself; 2 s.
    pub grace: Duration,
    /// Deadlines of single methods; they win over `policy`, `publish_usage` and `audit`.
    pub methods: BTreeMap<Method, Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            policy: Duration::from_secs(5),
            publish_usage: Duration::from_secs(20),
            audit: Duration::from_secs(25),
            create: Duration::from_secs(30),
            health: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            hold: Duration::from_secs(2),
            grace: Duration::from_secs(2),
            methods: BTreeMap::new(),
        }
    }
}

impl Limits {
    /// The deadline of one call of `method`.
    pub fn deadline(&self, method: Method) -> Duration {
        self.methods.get(&method).copied().unwrap_or(match (method, method.kind()) {
            (Method::PublishUsage, _) => self.publish_usage,
            (_, Kind::ModelPolicy) => self.policy,
            (_, Kind::Audit) => self.audit,
        })
    }

    /// Checks limits that were made in code.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when a limit is zero or above [`MAX_LIMIT`], or `drain` is shorter than the longest
    /// method deadline + `grace`.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let single =
            [self.policy, self.publish_usage, self.audit, self.create, self.health, self.drain, self.hold, self.grace];
        let single = KEYS.iter().map(|key| format!("limits.{key}")).zip(single);
        let methods = self.methods.iter().map(|(method, limit)| (format!("limits.methods.{method}"), *limit));
        for (key, limit) in single.chain(methods) {
            if limit.is_zero() || limit > MAX_LIMIT {
                let message = format!("expected duration above zero and of at most 24h, found {}", show(limit));
                problems.push(ConfigProblem::new(ProblemKind::BadValue, None, None, &key, message));
            }
        }
        if let (true, Some(incoherent)) = (problems.is_empty(), self.incoherence("limits", "")) {
            let message = incoherent.message;
            problems.push(ConfigProblem::new(ProblemKind::Incoherent, None, None, "limits.drain", message));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { problems }) }
    }

    /// Reads `[plugins.NAME.limits]`; each problem is noted in `report`.
    pub(crate) fn read(report: &mut Report<'_>, section: &Section<'_>) -> Self {
        let before = report.count();
        section.refuse_unknown(report);
        let mut limits = Self::default();
        let single = [
            &mut limits.policy,
            &mut limits.publish_usage,
            &mut limits.audit,
            &mut limits.create,
            &mut limits.health,
            &mut limits.drain,
            &mut limits.hold,
            &mut limits.grace,
        ];
        for (key, limit) in KEYS.iter().zip(single) {
            *limit = section.duration(report, key).unwrap_or(*limit);
        }
        let methods = section.section(report, "methods", &Method::NAMES);
        if let Some(methods) = &methods {
            methods.refuse_unknown(report);
            let given =
                |report: &mut Report<'_>, method: Method| Some((method, methods.duration(report, method.name())?));
            limits.methods = Method::ALL.into_iter().filter_map(|method| given(report, method)).collect();
        }
        // With a limit that could not be read, coherence would be judged on a default that nobody wrote.
        if report.count() == before {
            limits.refuse_incoherent(report, section, methods.as_ref());
        }
        limits
    }

    fn refuse_incoherent(&self, report: &mut Report<'_>, section: &Section<'_>, methods: Option<&Section<'_>>) {
        let note = if section.place("drain").is_none() { " (its default)" } else { "" };
        let Some(incoherent) = self.incoherence(&section.path, note) else {
            return;
        };
        let cause = match incoherent.longest.strip_prefix("methods.") {
            Some(method) => methods.and_then(|methods| methods.place(method)),
            None => section.place(&incoherent.longest),
        };
        let at = section.place("drain").or(cause).or(section.place("grace")).unwrap_or(section.at);
        report.add(ProblemKind::Incoherent, at, &section.key("drain"), incoherent.message);
    }

    /// `prefix` is the key path of these limits; `note` stands behind the value of `drain`.
    fn incoherence(&self, prefix: &str, note: &str) -> Option<Incoherent> {
        // Of several longest ones the first is named.
        let method = Method::ALL.into_iter().rev().max_by_key(|method| self.deadline(*method))?;
        let least = self.deadline(method).saturating_add(self.grace);
        if self.drain >= least {
            return None;
        }
        let longest = match (self.methods.contains_key(&method), method.kind()) {
            (true, _) => format!("methods.{method}"),
            (false, Kind::Audit) => "audit".to_owned(),
            (false, Kind::ModelPolicy) if method == Method::PublishUsage => "publish_usage".to_owned(),
            (false, Kind::ModelPolicy) => "policy".to_owned(),
        };
        let message = format!(
            "expected at least {}, found {}{note}: a replaced plugin must be able to end its longest call, which is \
             {prefix}.{longest} ({}) + {prefix}.grace ({}); raise `drain` to {0} or more",
            show(least),
            show(self.drain),
            show(self.deadline(method)),
            show(self.grace),
        );
        Some(Incoherent { longest, message })
    }
}

struct Incoherent {
    /// The key of the longest deadline, relative to the limits.
    longest: String,
    message: String,
}

fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
