//! What operators hear about the journal's storage: free space, files that are gone, damage.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gundo_journal::{Fault, Room};
use metrics::{Gauge, Label};

use crate::indicators::Recorders;

/// An alarm that stays is logged once in so many calls of [`DiskGauge::publish`], which are a second apart.
const SAY_EVERY: u32 = 60;

/// The sizes of its files are logged once in so many calls.
const SIZES_EVERY: u32 = 3_600;

/// The free space on the journal's disk, and the alarms about its files.
pub(crate) struct DiskGauge {
    free: Gauge,
    /// Bytes of the journal's file, and of its log.
    sizes: [Gauge; 2],
    log_long: Alarm,
    /// Calls until the sizes are logged again.
    until_sizes: AtomicU32,
    found: Arc<Found>,
    gone: Alarm,
    damaged: Alarm,
    /// Why the files are gone, if they are.
    lost: Mutex<Option<String>>,
}

/// What the last look at the journal has found, for the logic threads.
#[derive(Debug)]
pub(crate) struct Found {
    /// Nothing new may be taken: the disk is nearly full, or the files are gone.
    pub(crate) low: AtomicBool,
    /// [`NO_GENERATION`](Self::NO_GENERATION): nobody could ask yet.
    generation: AtomicU64,
}

impl Found {
    const NO_GENERATION: u64 = u64::MAX;

    /// The generation of the journal, if somebody could ask.
    pub(crate) fn generation(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::Relaxed)).filter(|generation| *generation != Self::NO_GENERATION)
    }
}

impl Default for Found {
    fn default() -> Self {
        Self { low: AtomicBool::default(), generation: AtomicU64::new(Self::NO_GENERATION) }
    }
}

impl DiskGauge {
    pub(crate) fn new(recorders: &Recorders) -> Self {
        let free = recorders.gauge("gundo_disk_free_bytes", Vec::new(), "Bytes free on the journal's disk");
        let gone = "1 while the journal's files are gone or replaced: nothing is saved";
        let damaged = "1 if part of the journal cannot be read";
        let file = "Bytes of the journal's file; 0: it is elsewhere";
        let log = "Bytes of the file of the journal's log; 0: it is elsewhere";
        let log_long = "1 while the journal's log is long, because somebody reads the journal";
        Self {
            free,
            sizes: [("gundo_journal_file_bytes", file), ("gundo_journal_log_bytes", log)]
                .map(|(name, text)| recorders.gauge(name, Vec::new(), text)),
            log_long: Alarm::new(recorders, "gundo_journal_log_long", log_long),
            until_sizes: AtomicU32::new(0),
            found: Arc::default(),
            gone: Alarm::new(recorders, "gundo_journal_gone", gone),
            damaged: Alarm::new(recorders, "gundo_journal_damaged", damaged),
            lost: Mutex::default(),
        }
    }

    /// What was found, for the logic threads.
    pub(crate) fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found)
    }

    /// What the last look has found of files that are gone.
    pub(crate) fn gone(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes on which generation the journal is in; call about once per second. A journal that cannot be read says nothing.
    pub(crate) fn publish_generation(&self, generation: Result<u64, Fault>) {
        match generation {
            Ok(generation) => self.found.generation.store(generation, Ordering::Relaxed),
            Err(fault) => tracing::debug!(%fault, "cannot ask the journal for its generation"),
        }
    }

    /// Publishes the journal's free space; call about once per second. Logs when it becomes low and when it recovers, and what
    /// is wrong with the files for as long as it is.
    pub(crate) fn publish(&self, room: &Room) {
        self.gone.publish("the journal is lost", room.gone.as_deref());
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&room.gone);
        self.damaged.publish("the journal is damaged", room.damage.as_deref());
        self.log_long.publish("the journal is read for long", room.log_long.as_deref());
        self.publish_sizes(room);
        let free_mib = room.free_bytes.map(|bytes| bytes >> 20);
        if let Some(bytes) = room.free_bytes {
            self.free.set(bytes as f64);
        }
        let is_low = room.is_low || room.gone.is_some();
        match (self.found.low.swap(is_low, Ordering::Relaxed), is_low) {
            _ if room.gone.is_some() => {}
            // The alarm says what it is.
            (false, true) if room.log_long.is_some() => {}
            (false, true) => tracing::error!(
                free_mib,
                "the journal's disk is nearly full: commands and new players are refused until there is room"
            ),
            (true, false) => tracing::info!(free_mib, "the journal's disk has room again"),
            _ => {}
        }
    }

    /// Publishes the sizes of the journal's files, and logs them at first and every hour.
    fn publish_sizes(&self, room: &Room) {
        let (Some(file), Some(log)) = (room.file_bytes, room.log_bytes) else { return };
        for (gauge, bytes) in self.sizes.iter().zip([file, log]) {
            gauge.set(bytes as f64);
        }
        let until = self.until_sizes.load(Ordering::Relaxed);
        if until == 0 {
            let free_mib = room.free_bytes.map(|bytes| bytes >> 20);
            tracing::info!(
                file_mib = mib(file),
                log_mib = mib(log),
                free_mib,
                "the sizes of the journal's files"
            );
        }
        self.until_sizes.store(if until == 0 { SIZES_EVERY - 1 } else { until - 1 }, Ordering::Relaxed);
    }
}

/// What a file has, in MiB, rounded up.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Something that operators must see, at once and again.
struct Alarm {
    gauge: Gauge,
    until_said: AtomicU32,
}

impl Alarm {
    fn new(recorders: &Recorders, name: &'static str, text: &'static str) -> Self {
        let gauge = recorders.gauge(name, Vec::<Label>::new(), text);
        gauge.set(0.0);
        Self { gauge, until_said: AtomicU32::new(0) }
    }

    fn publish(&self, title: &str, why: Option<&str>) {
        self.gauge.set(f64::from(u8::from(why.is_some())));
        let Some(why) = why else { return };
        let until = self.until_said.load(Ordering::Relaxed);
        if until == 0 {
            tracing::error!("{title}: {why}");
        }
        self.until_said.store(if until == 0 { SAY_EVERY - 1 } else { until - 1 }, Ordering::Relaxed);
    }
}
