//! The file against the model: for random groups [`Store`] and [`Writer`] must give the same outcomes and have the same content.

use std::sync::Arc;

use bytes::Bytes;
use gundo_journal::suite::{entity, stream};
use gundo_journal::{KEEP_MS, Registration, Store};
use gundo_types::{EntityId, NodeId, WorldTime};
use gundo_wire::journal::{Batch, EventType, NameChange, StreamAppend};
use proptest::prelude::*;

use crate::open::JournalFile;
use crate::read::Reader;
use crate::stats::Counters;
use crate::writer::Writer;
use crate::{Settings, Synchronous};

const ENTITIES: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Join,
    Leave(usize),
    Group(Vec<Plan>),
    Prune(u64),
}

/// A batch before the newest seqs of its streams are filled in.
#[derive(Clone, Debug)]
struct Plan {
    incarnation: usize,
    prepared_by: Option<usize>,
    /// Entity; how far `after` is off; events; load; whether there is a snapshot; whether it is a fence.
    streams: Vec<(u64, i64, u64, u64, bool, bool)>,
    names: Vec<(u8, Option<u64>)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    // Mostly right, so that streams grow; sometimes a gap or a duplicate.
    let off = prop_oneof![12 => Just(0_i64), 1 => Just(1), 1 => Just(-1), 1 => Just(-30)];
    let load = prop_oneof![1 => 0..3_u64, 3 => 3..6_u64, 1 => 6..40_u64];
    let one = (0..ENTITIES, off, 1..4_u64, load, prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    let streams = prop::collection::vec(one, 1..4);
    let names = prop::collection::vec((0..3_u8, prop::option::of(0..ENTITIES)), 0..3);
    let prepared_by = prop::option::weighted(0.2, 0..3_usize);
    (0..3_usize, prepared_by, streams, names).prop_map(|(incarnation, prepared_by, streams, names)| Plan {
        incarnation,
        prepared_by,
        streams,
        names,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Join),
        1 => (0..3_usize).prop_map(Step::Leave),
        12 => prop::collection::vec(plans(), 1..8).prop_map(Step::Group),
        2 => (0..3 * KEEP_MS).prop_map(Step::Prune),
    ];
    prop::collection::vec(step, 1..40)
}

/// Makes the batches of a group. It assumes, as a node would, that all earlier batches of the group landed.
fn batches(plans: Vec<Plan>, incarnations: &[u64], store: &Store) -> Vec<Batch> {
    let mut ends: Vec<u64> = (0..ENTITIES).map(|id| last(store, entity(id))).collect();
    let pick = |index: usize| incarnations[index % incarnations.len()];
    let mut batches = Vec::new();
    for (id, plan) in (1..).zip(plans) {
        let mut streams: Vec<StreamAppend> = Vec::new();
        for (e, off, count, load, snapshot, fence) in plan.streams {
            if streams.iter().any(|s| s.entity == entity(e)) {
                continue;
            }
            let after = ends[e as usize].saturating_add_signed(off);
            let mut made = stream(entity(e), load, after, count);
            made.snapshot = snapshot.then(|| Bytes::from(format!("{e} as of {}", after + count)));
            if fence {
                made.events.iter_mut().for_each(|event| event.event_type = EventType::Fenced);
            }
            ends[e as usize] = after + count;
            streams.push(made);
        }
        let name = |(name, owner): (u8, Option<u64>)| NameChange {
            space: "s".into(),
            name: format!("name {name}"),
            owner: owner.map(entity),
        };
        batches.push(Batch {
            id,
            node: NodeId(1),
            incarnation: pick(plan.incarnation),
            generation: 0,
            prepared_by: plan.prepared_by.map(pick).into_iter().collect(),
            streams,
            names: plan.names.into_iter().map(name).collect(),
        });
    }
    batches
}

fn last(store: &Store, entity: EntityId) -> u64 {
    let loaded = store.load(entity);
    let snapshot = loaded.snapshot.map_or(0, |(seq, _)| seq);
    loaded.events.last().map_or(snapshot, |(seq, _)| *seq)
}

fn compare(store: &Store, reader: &Reader) {
    for e in (0..ENTITIES).map(entity) {
        assert_eq!(reader.load(e).expect("loads"), store.load(e), "{e}");
        assert_eq!(reader.stream(e, 0, 9_999).expect("reads"), store.stream(e, 0, 9_999), "{e}");
    }
    assert_eq!(reader.streams(None, 99).expect("lists"), store.streams(None, 99));
    for name in ["name 0", "name 1", "name 2"] {
        assert_eq!(reader.name("s", name).expect("reads"), store.name("s", name), "{name}");
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = JournalFile::new(dir.path());
    let settings = Settings { synchronous: Synchronous::Off, ..Settings::default() };
    let mut writer = Writer::open(&file, settings, Arc::new(Counters::default())).expect("a new journal");
    let reader = Reader::of(&file).expect("readable");
    let mut store = Store::new();
    let mut incarnations = vec![store.join()];
    assert_eq!(writer.register(NodeId(1), incarnations[0]).expect("joins"), Registration::Registered);
    for step in steps {
        match step {
            Step::Join => {
                let incarnation = store.join();
                assert_eq!(writer.register(NodeId(1), incarnation).expect("joins"), Registration::Registered);
                incarnations.push(incarnation);
            }
            Step::Leave(index) => {
                let incarnation = incarnations[index % incarnations.len()];
                store.leave(incarnation);
                writer.leave(incarnation).expect("leaves");
            }
            Step::Group(plans) => {
                let batches = batches(plans, &incarnations, &store);
                assert_eq!(
                    writer.commit_group(&batches),
                    store.commit_group(batches.clone()),
                    "{batches:#?}"
                );
                compare(&store, &reader);
            }
            Step::Prune(ms) => {
                let pruned = writer.prune_all(WorldTime(ms)).expect("prunes");
                assert_eq!(pruned, store.prune(WorldTime(ms)));
                compare(&store, &reader);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn file_and_model_agree(steps in steps()) {
        run(steps);
    }
}
