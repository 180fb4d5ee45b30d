//! Deliberate mistakes that only change, drop or forge a message: made here, between the rooms and the outside.
//!
//! Each breaks a guarantee, and the simulator's checkers must find it. Mistakes that no message expresses are made in the rooms
//! themselves ([`Core::planted`](crate::core::Core::planted)). Without the feature `planted` everything passes unchanged.

use gundo_types::{EntityId, Planted};
use gundo_wire::Message;
use gundo_wire::client::ClientMessage;
use gundo_wire::journal::{Batch, EventType, Loaded, Outcome, Session, SnapshotParts};

use crate::io::{Gauges, Input, Output};
use crate::peer::{HomeMessage, Peer, ToEdge, ToPlayer, TxId, TxMessage};

/// Load of a node that is neither too busy nor at ease, ‰.
const UNEASY_PERMILLE: u32 = 700;

/// The planted mistake, if there is one.
pub(crate) struct Mistakes {
    planted: Option<Planted>,
    /// The last transaction with a commit, and the participant that got it first.
    commit: Option<(TxId, EntityId)>,
}

impl Mistakes {
    pub(crate) fn new(planted: Option<Planted>) -> Self {
        Self { planted: planted.filter(|_| cfg!(feature = "planted")), commit: None }
    }

    /// Passes or changes an input; `None`: it is lost.
    pub(crate) fn input(&self, mut input: Input) -> Option<Input> {
        let Some(planted) = self.planted else { return Some(input) };
        match (planted, &mut input) {
            (
                Planted::LoadNotRetried,
                Input::Loaded { result: Err(_), .. } | Input::Listed { result: Err(_), .. },
            )
            | (Planted::KeyframeLost, Input::Drained { .. }) => return None,
            (Planted::AnswersForgotten, Input::Loaded { result: Ok(loaded), .. }) => forget_answers(loaded),
            (Planted::UnknownIsDone, Input::Appended { outcome, .. }) => mistake(outcome, Outcome::Done),
            (Planted::UnknownIsRefused, Input::Appended { outcome, .. }) => {
                mistake(outcome, Outcome::Rejected(String::new()));
            }
            (Planted::UnknownRetried, Input::Appended { outcome, .. }) => mistake(outcome, Outcome::Conflict),
            (Planted::OverloadStays, Input::Gauges(gauges)) => {
                let load_permille = gauges.load_permille.max(UNEASY_PERMILLE);
                *gauges = Gauges { load_permille, ..*gauges };
            }
            (Planted::DamagedTokenPanics, Input::Client { message, .. }) => panic_at_damage(message),
            _ => {}
        }
        Some(input)
    }

    /// Passes or changes a message to a peer, or from the node to itself; `None`: it is lost.
    pub(crate) fn peer(&mut self, mut message: Peer) -> Option<Peer> {
        let Some(planted) = self.planted else { return Some(message) };
        match (planted, &mut message) {
            (Planted::KeyframeIgnored, Peer::KeyframeWanted(_) | Peer::Missed { .. })
            | (Planted::SentNotCompared, Peer::Sent { .. })
            | (Planted::PlayerStays, Peer::ToPlayer { message: ToPlayer::Gone { .. }, .. })
            | (
                Planted::OldLineNotTold | Planted::OldLineObeyed,
                Peer::ToEdge { message: ToEdge::Superseded, .. },
            ) => return None,
            (Planted::NoGrace, Peer::ToPlayer { message: ToPlayer::Gone { leave }, .. }) => *leave = true,
            (
                Planted::PoisonDecidedAgain,
                Peer::ToPlayer { message: ToPlayer::Command { question, .. }, .. },
            ) => *question = false,
            (
                Planted::InterestNotAnnounced,
                Peer::Home { message: HomeMessage::Announce { subscribes, .. }, .. },
            ) => subscribes.clear(),
            (Planted::SubscriptionKept, Peer::Home { message: HomeMessage::Subscribe(list), .. }) => {
                list.retain(|(_, tiers)| *tiers != 0);
            }
            (Planted::HalfCommit, Peer::Transaction { tx, entity, message }) => {
                self.commit_half(*tx, *entity, message);
            }
            _ => {}
        }
        Some(message)
    }

    /// Passes or changes an output; `None`: it is lost.
    pub(crate) fn output(&mut self, mut output: Output) -> Option<Output> {
        match (self.planted, &mut output) {
            (None, _) => {}
            (_, Output::Peer { .. }) => {
                let Output::Peer { to, label, message } = output else { return Some(output) };
                return self.peer(message).map(|message| Output::Peer { to, label, message });
            }
            (Some(Planted::PartLeftOut), Output::Append(batch)) if batch.streams.len() > 1 => {
                batch.streams.remove(1);
                batch.prepared_by.remove(0);
            }
            (Some(Planted::LaterFieldsLost), Output::Append(batch)) => drop_later_fields(batch),
            _ => {}
        }
        Some(output)
    }

    /// Only the first participant of a transaction gets the commit.
    fn commit_half(&mut self, tx: TxId, entity: EntityId, message: &mut TxMessage) {
        if !matches!(message, TxMessage::Commit) {
            return;
        }
        match self.commit {
            Some((before, first)) if before == tx && first != entity => {
                *message = TxMessage::Abort { reload: false };
            }
            _ => self.commit = Some((tx, entity)),
        }
    }
}

fn mistake(outcome: &mut Outcome, taken_for: Outcome) {
    if *outcome == Outcome::Unknown {
        *outcome = taken_for;
    }
}

fn panic_at_damage(message: &ClientMessage) {
    let Some(hello) = &message.hello else { return };
    let whole = if hello.token.is_empty() { hello.nonce.len() == 16 } else { hello.token.len() >= 24 };
    assert!(whole, "a token has 32 bytes, an old one 24, a nonce 16");
}

fn forget_answers(loaded: &mut Loaded) {
    let Some((_, payload)) = &mut loaded.snapshot else { return };
    if let Ok(mut snapshot) = SnapshotParts::decode(payload.clone()) {
        snapshot.answers.clear();
        *payload = snapshot.encode_to_vec().into();
    }
}

/// Drops fields that a later version wrote.
fn drop_later_fields(batch: &mut Batch) {
    for stream in &mut batch.streams {
        if let Some(payload) = &mut stream.snapshot
            && let Ok(snapshot) = SnapshotParts::decode(payload.clone())
        {
            *payload = snapshot.encode_to_vec().into();
        }
        for event in stream.events.iter_mut().filter(|e| e.event_type == EventType::Session) {
            if let Ok(session) = Session::decode(event.payload.clone()) {
                event.payload = session.encode_to_vec().into();
            }
        }
    }
}
