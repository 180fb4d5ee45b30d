//! Rules, verdicts and the report of a run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a rule has no good verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other side broke the rule: what it did instead.
    Broken(String),
    /// The other side says that it cannot do what the rule is about.
    Skipped(String),
}

/// The verdict of one step of a conversation.
pub type Check<T = ()> = Result<T, Fault>;

/// The rule is broken, for this reason.
///
/// # Errors
/// Always.
pub(crate) fn broken<T>(why: impl Into<String>) -> Check<T> {
    Err(Fault::Broken(why.into()))
}

/// The rule is broken unless `holds`.
///
/// # Errors
/// It does not hold.
pub(crate) fn must(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Fault::Broken(why())) }
}

/// A rule of the page, and the conversation that tries it with a `T`.
pub struct Case<T: 'static> {
    /// A short name, in the words of the page: `resend-order`.
    pub name: &'static str,
    /// The rule as one sentence.
    pub rule: &'static str,
    /// The conversation.
    pub run: fn(&T) -> Check,
}

impl<T> Case<T> {
    pub(crate) const fn new(name: &'static str, rule: &'static str, run: fn(&T) -> Check) -> Self {
        Self { name, rule, run }
    }
}

/// What came of each rule, in the order of the page.
#[derive(Debug)]
pub struct Report {
    rows: Vec<(&'static str, &'static str, Check)>,
}

impl Report {
    /// Tries every case whose name contains `only` with `subject`, `jobs` at a time.
    pub fn of<T: Sync>(cases: &[Case<T>], subject: &T, only: &str, jobs: usize) -> Self {
        let chosen: Vec<&Case<T>> = cases.iter().filter(|case| case.name.contains(only)).collect();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(vec![None; chosen.len()]);
        std::thread::scope(|scope| {
            for _ in 0..jobs.clamp(1, chosen.len().max(1)) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(case) = chosen.get(at) else { return };
                        let verdict = catch_unwind(AssertUnwindSafe(|| (case.run)(subject)));
                        let verdict =
                            verdict.unwrap_or_else(|_| broken("the kit itself panicked: see above"));
                        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[at] = Some(verdict);
                    }
                });
            }
        });
        let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let rows = chosen.iter().zip(found);
        Self { rows: rows.filter_map(|(case, v)| Some((case.name, case.rule, v?))).collect() }
    }

    /// Whether no rule is broken, and some were kept.
    pub fn is_good(&self) -> bool {
        self.kept() > 0 && self.broken() == 0
    }

    /// Rules that were kept.
    pub fn kept(&self) -> usize {
        self.rows.iter().filter(|(.., v)| v.is_ok()).count()
    }

    /// Rules that were broken.
    pub fn broken(&self) -> usize {
        self.rows.iter().filter(|(.., v)| matches!(v, Err(Fault::Broken(_)))).count()
    }

    /// Rules about things that the other side cannot do.
    pub fn skipped(&self) -> usize {
        self.rows.len() - self.kept() - self.broken()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        for (name, rule, verdict) in &self.rows {
            match verdict {
                Ok(()) => writeln!(f, "kept     {name:width$}  {rule}")?,
                Err(Fault::Skipped(why)) => writeln!(f, "skipped  {name:width$}  {rule}\n         → {why}")?,
                Err(Fault::Broken(why)) => writeln!(f, "BROKEN   {name:width$}  {rule}\n         → {why}")?,
            }
        }
        write!(f, "{} kept, {} broken, {} skipped", self.kept(), self.broken(), self.skipped())
    }
}
