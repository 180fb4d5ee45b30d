//! The watch on the record in etcd.
//!
//! It goes on from the revision that it saw last, at another member if need be, so no epoch is missed while connections break or
//! etcd is away. Only if etcd has compacted what came next, it reads the present record and goes on from there.
//!
//! A connection may die without a word. So the watch asks for progress every [`ASK_MS`], and after [`SILENT_MS`] without any answer
//! begins again.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions, WatchResponse};
use gundo_coordinator::Record;
use gundo_kernel::View;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::chance::jittered;
use crate::counters::Counters;
use crate::fault::Fault;
use crate::store::Store;
use crate::views::Views;

/// Interval between two questions for progress, ms.
const ASK_MS: u64 = 1_000;

/// A watch that says nothing for this long is begun again, ms. Also the longest wait for a watch to begin.
const SILENT_MS: u64 = 4_000;

/// Shortest and longest pause before it is begun again, ms.
const PAUSE_MS: (u64, u64) = (50, 1_000);

/// Follows the record for ever. `from`: the first revision to follow.
pub(crate) async fn run(store: &Store, views: &Views, counters: &Counters, from: i64) {
    let mut next = Some(from);
    let (mut pause, mut turn, mut told) = (PAUSE_MS.0, 0_usize, false);
    loop {
        let begun = Instant::now();
        let why = match follow(store, views, counters, (&mut next, turn)).await {
            Err(fault) => fault.text(),
            Ok(never) => match never {},
        };
        if begun.elapsed() > Duration::from_millis(2 * SILENT_MS) {
            (pause, told) = (PAUSE_MS.0, false);
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%why, "the watch on the membership in etcd ended; it begins again");
        }
        turn += 1;
        counters.watches.fetch_add(1, Relaxed);
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(PAUSE_MS.1);
    }
}

/// Nothing: it ends only by a fault.
pub(crate) enum Never {}

async fn follow(
    store: &Store,
    views: &Views,
    counters: &Counters,
    (next, turn): (&mut Option<i64>, usize),
) -> Result<Never, Fault> {
    let silent = Duration::from_millis(SILENT_MS);
    let from = match *next {
        Some(from) => from,
        None => {
            let present = store.read(Instant::now() + silent).await?;
            if let Some((_, value)) = &present.record
                && let Some(view) = view_of(value)
            {
                let missed = view.epoch.0.saturating_sub(views.epoch().0);
                counters.missed.fetch_add(missed, Relaxed);
                tracing::warn!(
                    missed,
                    "etcd has compacted views that were not read yet; going on with the present one"
                );
                views.jump(view);
            }
            *next.insert(present.revision + 1)
        }
    };
    let (url, mut client) = store.endpoints.next(turn, Instant::now() + silent).await?;
    let quiet = || Fault::Passing(format!("etcd at {url}: the watch says nothing"));
    let options = WatchOptions::new().with_start_revision(from);
    let opened = timeout(silent, client.watch(store.keys.members.as_str(), Some(options))).await;
    let (mut ask, mut answers) =
        opened.map_err(|_| quiet())?.map_err(|error| Fault::of(&url, &error))?.split();
    let mut clock = interval(Duration::from_millis(ASK_MS));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            answer = answers.message() => {
                let answer = answer.map_err(|error| Fault::of(&url, &error))?;
                let answer = answer.ok_or_else(|| Fault::Passing(format!("etcd at {url}: it closed the watch")))?;
                heard = Instant::now();
                store.endpoints.check_cluster(&url, answer.header())?;
                take(&answer, &url, views, next)?;
            }
            _ = clock.tick() => {
                if heard.elapsed() > silent {
                    return Err(quiet());
                }
                // Fails with the stream; then there is no answer either.
                let _ = timeout(silent, ask.request_progress()).await;
            }
        }
    }
}

fn take(answer: &WatchResponse, url: &str, views: &Views, next: &mut Option<i64>) -> Result<(), Fault> {
    if answer.compact_revision() > 0 {
        *next = None;
        return Err(Fault::Passing(format!(
            "etcd at {url}: revisions up to {} are compacted",
            answer.compact_revision()
        )));
    }
    for event in answer.events() {
        let Some(kv) = event.kv() else { continue };
        *next = Some(kv.mod_revision() + 1);
        match event.event_type() {
            EventType::Put => {
                if let Some(view) = view_of(&Bytes::copy_from_slice(kv.value())) {
                    views.offer(view);
                }
            }
            EventType::Delete => tracing::error!(
                "somebody has deleted the record of members from etcd: every node that renews its lease is told that it is no member, \
                 and ends; nodes that start then begin a new record"
            ),
        }
    }
    if answer.canceled() {
        return Err(Fault::Passing(format!("etcd at {url}: it ended the watch: {}", answer.cancel_reason())));
    }
    Ok(())
}

/// The view of a record. One that cannot be read is told: calls fail with the same reason.
pub(crate) fn view_of(value: &Bytes) -> Option<View> {
    match Record::decode(value) {
        Ok(record) => Some(record.view()),
        Err(error) => {
            tracing::error!(%error, "the record of members in etcd cannot be read");
            None
        }
    }
}
