//! Publishes what the drivers count: the journal, the links to other processes, the coordinator. They name their figures themselves.

use std::collections::BTreeSet;

use gundo_types::{Figure, Measure};
use metrics::Label;

use crate::indicators::Recorders;

/// The figures of one process.
pub(crate) struct Figures {
    recorders: Recorders,
    /// The gauges that were published last.
    gauges: BTreeSet<Series>,
}

/// A gauge with its labels and its sentence.
type Series = (&'static str, Vec<(&'static str, String)>, &'static str);

impl Figures {
    pub(crate) fn new(recorders: &Recorders) -> Self {
        Self { recorders: recorders.clone(), gauges: BTreeSet::new() }
    }

    /// Publishes everything; call about once per second. A gauge that is not among them any more, such as that of a peer that has left,
    /// is not a number from then on.
    pub(crate) fn publish(&mut self, figures: Vec<Figure>) {
        let mut before = std::mem::take(&mut self.gauges);
        for Figure { name, labels, text, measure } in figures {
            match measure {
                Measure::Total(value) => {
                    self.recorders.counter(name, labels_of(&labels), text).absolute(value)
                }
                Measure::Now(value) => {
                    self.recorders.gauge(name, labels_of(&labels), text).set(value);
                    let series = (name, labels, text);
                    before.remove(&series);
                    self.gauges.insert(series);
                }
            }
        }
        for (name, labels, text) in before {
            self.recorders.gauge(name, labels_of(&labels), text).set(f64::NAN);
        }
    }
}

fn labels_of(labels: &[(&'static str, String)]) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label::new(*key, value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_only_grow_and_what_is_gone_is_no_number() {
        let recorders = Recorders::new().expect("buckets");
        let mut figures = Figures::new(&recorders);
        let peer = |peer: u16, up: f64| Figure::now("gundo_peer_up", "Whether", up).of("peer", peer);
        figures.publish(vec![Figure::total("gundo_t_total", "T", 5), peer(2, 1.0), peer(3, 0.0)]);
        let text = recorders.render();
        for line in ["gundo_t_total 5", "gundo_peer_up{peer=\"2\"} 1", "gundo_peer_up{peer=\"3\"} 0"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        figures.publish(vec![Figure::total("gundo_t_total", "T", 7), peer(2, 0.0)]);
        let text = recorders.render();
        for line in ["gundo_t_total 7", "gundo_peer_up{peer=\"2\"} 0", "gundo_peer_up{peer=\"3\"} NaN"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
