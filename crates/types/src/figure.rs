//! What a driver counts of itself, as operators see it.

/// One figure of a driver: a journal, a fabric, a coordinator. The process that runs it publishes it about once per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name among the metrics, which says its unit.
    pub name: &'static str,
    /// What tells it from others of the same name.
    pub labels: Vec<(&'static str, String)>,
    /// A sentence about it.
    pub text: &'static str,
    /// Its value.
    pub measure: Measure,
}

/// The value of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// It only grows while the driver runs.
    Total(u64),
    /// It is so now.
    Now(f64),
}

impl Figure {
    /// A figure that only grows.
    pub fn total(name: &'static str, text: &'static str, value: u64) -> Self {
        Self { name, labels: Vec::new(), text, measure: Measure::Total(value) }
    }

    /// A figure that is so now.
    pub fn now(name: &'static str, text: &'static str, value: f64) -> Self {
        Self { name, labels: Vec::new(), text, measure: Measure::Now(value) }
    }

    /// The same with a label.
    #[must_use]
    pub fn of(mut self, label: &'static str, value: impl ToString) -> Self {
        self.labels.push((label, value.to_string()));
        self
    }
}
