//! Mistakes planted into the kernel, and for each a story that goes wrong with it. The simulator covers those that show only
//! in more than a small cluster (nodes that come and go, loads that fail, crowds). Without the feature `planted` the stories
//! only check that all goes well.

mod support;

use bytes::Bytes;
use gundo_kernel::{HomeMessage, Peer};
use gundo_rig::Seat;
use gundo_types::{ChunkId, EntityId, NodeId, Planted};
use gundo_wire::client::{ClientMessage, Command};
use gundo_wire::journal::{Session, SnapshotParts};
use gundo_wire::{Kept, Message};
use support::cluster::{Cluster, Fate, Strike};
use support::game::{LAND, PlayerCommand, STOCK};

/// A recorded story that goes differently with the mistake.
#[cfg(feature = "planted")]
const SCENARIOS: &[(Planted, &str)] = &[
    (Planted::NoDedupe, "commands_survive_a_cut.txt"),
    (Planted::EarlyReply, "the_journal_hangs.txt"),
    (Planted::EarlyRefusal, "the_journal_hangs.txt"),
    (Planted::EarlyFrame, "the_journal_hangs.txt"),
    (Planted::UnknownIsDone, "the_journal_does_not_know.txt"),
    (Planted::UnknownIsRefused, "the_journal_does_not_know.txt"),
    (Planted::UnknownRetried, "the_journal_does_not_know.txt"),
    (Planted::RefusedStays, "the_journal_refuses.txt"),
    (Planted::BusyThoughSent, "the_journal_is_slow.txt"),
    (Planted::WaitsForEver, "the_journal_is_slow.txt"),
    (Planted::MotionWaits, "the_journal_is_slow.txt"),
    (Planted::OverloadStays, "too_much_to_do.txt"),
    (Planted::PartLeftOut, "a_pebble_changes_hands.txt"),
    (Planted::LockKept, "the_journal_refuses.txt"),
    (Planted::TwoHolders, "the_newer_connection_wins.txt"),
    (Planted::OldLineObeyed, "the_newer_connection_wins.txt"),
    (Planted::OldLineNotTold, "the_newer_connection_wins.txt"),
    (Planted::TokenUnchecked, "a_forged_token.txt"),
    (Planted::PlayerStays, "grace_and_leaving.txt"),
    (Planted::KeyframeLost, "a_slow_client.txt"),
    (Planted::KeyframeIgnored, "lost_frames.txt"),
    (Planted::BundleGapIgnored, "lost_frames.txt"),
    (Planted::GhostStays, "walking_far.txt"),
    (Planted::PanicNotReloaded, "game_code_panics.txt"),
    (Planted::SuspendedDecides, "a_player_suspended.txt"),
    (Planted::PoisonDecidedAgain, "poison.txt"),
    (Planted::RosterGapUnnoticed, "lost_frames.txt"),
    (Planted::BarsOfOthers, "a_refusal_and_a_takeover.txt"),
    (Planted::GhostAdopted, "a_takeover_and_its_edge_dies.txt"),
    (Planted::GhostAdopted, "a_hello_that_waits_for_nobody.txt"),
    (Planted::ForgedPlace, "a_forged_place.txt"),
    (Planted::SpeedUnchecked, "a_forged_place.txt"),
    (Planted::WallsIgnored, "a_forged_place_behind_a_wall.txt"),
    (Planted::LateForever, "a_leap_after_a_silence.txt"),
    (Planted::AdoptionIgnored, "back_before_the_takeover.txt"),
    (Planted::EntitiesNotReloaded, "the_journal_goes_back.txt"),
    (Planted::TailNotNamed, "the_journal_goes_back_behind_a_leaver.txt"),
];

/// One of the stories below: it goes well without the mistake and fails with it.
const STORIES: [(Planted, fn()); 15] = [
    (Planted::HalfCommit, memory_after_two_lands),
    (Planted::AbortAfterAppend, memory_after_a_hang),
    (Planted::TimeRunsBack, a_clock_put_back),
    (Planted::AnswersForgotten, said_again_after_a_restart),
    (Planted::StaleSnapshot, pebbles_after_many_takes),
    (Planted::LaterFieldsLost, what_a_newer_node_wrote),
    (Planted::UnboundedCommands, too_many_at_once),
    (Planted::SightLeaked, nothing_stays_behind),
    (Planted::SubscriptionKept, nothing_stays_behind),
    (Planted::InterestNotAnnounced, pictures_after_a_new_view),
    (Planted::WatchNotRenewed, watched_over_a_new_view),
    (Planted::DamagedTokenPanics, a_token_cut_short),
    (Planted::SealUnchecked, a_place_that_nobody_sealed),
    (Planted::ThawsAfterGrant, one_owner_after_a_handoff),
    (Planted::LowerTermAccepted, one_owner_after_a_new_view),
];

#[test]
fn stories_go_well() {
    for (_, story) in STORIES {
        story();
    }
}

#[cfg(feature = "planted")]
mod with_a_mistake {
    use crate::support::cluster::{PLANTED, each_is_seen};
    use crate::support::script::goes_as_recorded;
    use crate::{SCENARIOS, STORIES};

    #[test]
    fn stories_fail() {
        each_is_seen(&STORIES);
    }

    #[test]
    fn recorded_stories_go_another_way() {
        for (planted, story) in SCENARIOS {
            PLANTED.set(Some(*planted));
            assert!(!goes_as_recorded(story), "{story} goes as recorded with {}", planted.name());
        }
    }
}

fn settle(cluster: &mut Cluster) {
    assert!(cluster.run_until(20_000, Cluster::is_settled), "it does not settle");
}

fn take_often(cluster: &mut Cluster, client: usize, times: usize) {
    for _ in 0..times {
        cluster.take(client, ChunkId::default(), 1);
        settle(cluster);
    }
}

/// Ann has taken often, everything was restarted with clocks `back_ms` behind, and she is logging in at another node.
fn restarted_after(takes: usize, back_ms: u64) -> (Cluster, usize) {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    take_often(&mut cluster, ann, takes);
    let token = cluster.clients[ann].session.token().clone();
    let world_ms = cluster.world().0 - back_ms;
    let mut cluster = Cluster::with_store(3, 2, cluster.disk.store, world_ms);
    let ann = cluster.connect_with("ann", 2, token);
    (cluster, ann)
}

fn said_again_after_a_restart() {
    let (mut cluster, ann) = restarted_after(9, 0);
    cluster.run_ms(600);
    let take = PlayerCommand { chunk: ChunkId::default().to_u64(), take: 1, ..Default::default() };
    let command = Command { seq: 2, payload: take.encode_to_vec().into(), ..Default::default() };
    cluster.say_raw(ann, ClientMessage { commands: vec![command], ..Default::default() });
    settle(&mut cluster);
    cluster.run_ms(600);
    let before = cluster.clients[ann].heard[&2].clone().expect("it was done, and is answered as before");
    assert_eq!(before, Bytes::from(support::game::LandReply { taken: 2, near: None }.encode_to_vec()));
}

fn pebbles_after_many_takes() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    take_often(&mut cluster, ann, 9);
    assert!(
        cluster.disk.store.streams(None, 99).iter().any(|s| s.entity.kind == LAND && s.snapshot.is_some())
    );
    cluster.check_pebbles();
}

/// Ann plays on a newer node, and then on older ones, which rewrite her snapshots and sessions.
fn what_a_newer_node_wrote() {
    let mut cluster = Cluster::new(3, 1);
    cluster.nodes.values_mut().for_each(Seat::act_newer);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    take_often(&mut cluster, ann, 9);
    let player = cluster.player(ann);
    let session_of = |snapshot: &Kept<SnapshotParts>| {
        let session = snapshot.known.session.clone().expect("a player's snapshot has one");
        Kept::<Session>::decode(session).expect("a session").unknown().clone()
    };
    let snapshot = |cluster: &Cluster| {
        let (seq, bytes) = cluster.disk.store.load(player).snapshot.expect("one is due");
        (seq, Kept::<SnapshotParts>::decode(bytes).expect("a snapshot"))
    };
    let (before, newer) = snapshot(&cluster);
    assert!(!newer.unknown().is_empty() && !session_of(&newer).is_empty());
    let token = cluster.clients[ann].session.token().clone();
    let world_ms = cluster.world().0;
    let mut cluster = Cluster::with_store(3, 2, cluster.disk.store, world_ms);
    let ann = cluster.connect_with("ann", 2, token);
    cluster.run_ms(600);
    take_often(&mut cluster, ann, 9);
    let (after, older) = snapshot(&cluster);
    assert!(after > before, "an older node has written one");
    assert_eq!((older.unknown(), session_of(&older)), (newer.unknown(), session_of(&newer)));
    let land = cluster
        .disk
        .store
        .streams(None, 99)
        .into_iter()
        .find(|s| s.entity.kind == LAND && s.snapshot.is_some());
    let land =
        cluster.disk.store.load(land.expect("much was taken from it").entity).snapshot.expect("it has one").1;
    assert!(!Kept::<SnapshotParts>::decode(land).expect("a snapshot").unknown().is_empty());
}

/// Every entity at rest has applied its whole stream.
fn check_memory(cluster: &mut Cluster) {
    settle(cluster);
    let streams = cluster.disk.store.streams(None, usize::MAX);
    for real in cluster.nodes.values().flat_map(|node| node.reals()) {
        let last = streams.iter().find(|s| s.entity == real.id).map_or(0, |s| s.last);
        assert_eq!(real.seq, last, "{}", real.id);
    }
}

fn memory_after_two_lands() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let also = cluster.chunk_where_home_is(2).to_u64();
    let chunk = cluster.chunk_where_home_is(3).to_u64();
    cluster.command(ann, &PlayerCommand { chunk, take: 1, also, ..Default::default() });
    check_memory(&mut cluster);
}

fn memory_after_a_hang() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    cluster.stuck = true;
    cluster.take(ann, ChunkId::default(), 1);
    cluster.run_ms(4_000);
    cluster.stuck = false;
    check_memory(&mut cluster);
}

fn a_clock_put_back() {
    let (mut cluster, ann) = restarted_after(5, 500);
    cluster.run_ms(100);
    take_often(&mut cluster, ann, 1);
    for stream in cluster.disk.store.streams(None, usize::MAX) {
        let dates: Vec<_> =
            cluster.disk.store.stream(stream.entity, 0, 99).into_iter().map(|(_, e)| e.at).collect();
        assert!(dates.is_sorted(), "{}: {dates:?}", stream.entity);
    }
}

fn too_many_at_once() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let say = PlayerCommand { say: "flood".into(), ..Default::default() }.encode_to_vec();
    let commands =
        (1..=40).map(|seq| Command { seq, payload: say.clone().into(), ..Default::default() }).collect();
    cluster.say_raw(ann, ClientMessage { commands, ..Default::default() });
    cluster.run_ms(600);
    let heard = cluster.clients[ann].heard.values();
    let refused = heard.filter(|r| r.as_ref().is_err_and(|code| code == "too_many_commands")).count();
    assert_eq!(refused, 8);
}

fn nothing_stays_behind() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    cluster.leave(ann);
    cluster.run_ms(17_000);
    for node in cluster.nodes.values() {
        assert_eq!((node.counters().reals, node.counters().chunks), (0, 0));
    }
}

fn pictures_after_a_new_view() {
    let mut cluster = Cluster::new(3, 1);
    let pair = [cluster.connect("ann", 1), cluster.connect("bob", 2)];
    cluster.run_ms(600);
    // The third node is home of everything near, and the others subscribe there only for players who look.
    let node = cluster.nodes.values().next().expect("a node");
    let is_third = |chunk: ChunkId| node.home(EntityId::new(LAND, chunk.to_u64())) == Some(NodeId(3));
    let mut chunks = (1..200).map(|x| ChunkId { island: 0, x, y: 0 });
    let far = chunks.find(|chunk| chunk.around(1).all(is_third)).expect("it has such a place");
    for jump in [far.corner().x, 500] {
        for one in pair {
            cluster.command(one, &PlayerCommand { jump, ..Default::default() });
        }
        cluster.run_ms(600);
        cluster.next_view();
        cluster.run_ms(600);
    }
    cluster.check_pictures();
}

/// Bob watches land that nobody sees, and its home has forgotten that.
fn watched_over_a_new_view() {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 2));
    cluster.run_ms(600);
    let far = ChunkId { island: 0, x: 300, y: 300 };
    cluster.watch(bob, support::game::land(far));
    cluster.run_ms(600);
    cluster.next_view();
    cluster.run_ms(600);
    cluster.take(ann, far, 1);
    cluster.run_ms(600);
    let shown = cluster.clients[bob].watched.last().map(|(_, shown)| shown.clone());
    let pebbles = support::game::Pebbles { n: STOCK - 1 }.encode_to_vec();
    assert_eq!(shown, Some(Ok(Some(Bytes::from(pebbles)))));
}

fn a_place_that_nobody_sealed() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let token = cluster.clients[ann].session.token().clone();
    cluster.leave(ann);
    cluster.run_ms(3_000);
    let mut invented = (cluster.world().0 - 1_000).to_be_bytes().to_vec();
    invented.extend([0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 9]);
    for len in [35, 34, 19, 4_000] {
        invented.resize(len, 7);
        let back = cluster.come_back("ann", 2, token.clone(), Bytes::copy_from_slice(&invented));
        cluster.run_ms(600);
        let at = cluster.clients[back].body.at;
        assert_eq!((at.x, at.y), (15_000, 15_000), "where she came in");
        cluster.leave(back);
        cluster.run_ms(500);
    }
}

fn a_token_cut_short() {
    let mut cluster = Cluster::new(3, 1);
    let ann = cluster.connect_with("ann", 1, Bytes::from_static(&[7; 23]));
    cluster.run_ms(600);
    assert_eq!(cluster.clients[ann].refused, ["bad_token"]);
}

/// Ann stands where another node is home of her surroundings; her player is about to follow.
fn about_to_be_handed_over() -> (Cluster, usize, EntityId) {
    let mut cluster = Cluster::following(3, 1, 500);
    let ann = cluster.connect("ann", 1);
    cluster.run_ms(600);
    let player = cluster.player(ann);
    let home = cluster.nodes[&NodeId(1)].home(player).expect("members");
    let (far, _) = cluster.far_place(&[NodeId(1), home]).expect("there are forty tracts");
    let jump = i32::from(far.x) * gundo_types::CHUNK_MM;
    cluster.command(ann, &PlayerCommand { jump, ..Default::default() });
    (cluster, ann, player)
}

fn one_owner_after_a_handoff() {
    let (mut cluster, ann, player) = about_to_be_handed_over();
    cluster.run_ms(3_000);
    assert_eq!(cluster.owners(player).len(), 1);
    take_often(&mut cluster, ann, 1);
    assert_eq!(cluster.owners(player).len(), 1);
}

/// The old owner does not hear of the grant, and then a new view comes in which it announces last.
fn one_owner_after_a_new_view() {
    let (mut cluster, ann, player) = about_to_be_handed_over();
    let home = cluster.nodes[&NodeId(1)].home(player).expect("members");
    let handed =
        |_, _, message: &Peer| matches!(message, Peer::Home { message: HomeMessage::HandedOver { .. }, .. });
    cluster.strike = Some(Strike { at: Box::new(handed), fate: Fate::Lost, struck: None });
    let struck = cluster.run_until(5_000, |c| c.strike.as_ref().is_some_and(|s| s.struck.is_some()));
    assert!(struck, "it has been handed over");
    cluster.slow_links.insert((NodeId(1), home), 20_000);
    cluster.run_ms(50);
    cluster.next_view();
    cluster.run_ms(3_000);
    assert_eq!(cluster.owners(player).len(), 1);
    take_often(&mut cluster, ann, 1);
    cluster.check_pictures();
}
