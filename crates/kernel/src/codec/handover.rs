//! The messages between the two nodes of a handoff, and between those of a transaction.

use gundo_types::WorldTime;
use gundo_wire::journal::Outcome;
use gundo_wire::peer::{self as wire, Malformed, all, handoff, maybe, needed, node, transaction};

use super::is;
use crate::game::{Actor, Exists, Paces};
use crate::peer::{Age, HandoffMessage, Image, Prepared, TxId, TxMessage, Unrecorded};

impl From<&HandoffMessage> for handoff::Arrow {
    fn from(message: &HandoffMessage) -> Self {
        match message {
            HandoffMessage::Image(image) => Self::Offer((&**image).into()),
            HandoffMessage::Refused => Self::OfferRefused(wire::OfferRefused {}),
        }
    }
}

impl TryFrom<handoff::Arrow> for HandoffMessage {
    type Error = Malformed;

    fn try_from(arrow: handoff::Arrow) -> Result<Self, Malformed> {
        Ok(match arrow {
            handoff::Arrow::Offer(offer) => Self::Image(Box::new(offer.try_into()?)),
            handoff::Arrow::OfferRefused(wire::OfferRefused {}) => Self::Refused,
        })
    }
}

impl From<&Image> for wire::Offer {
    fn from(image: &Image) -> Self {
        // Destructured, so that no field can be forgotten.
        let Image {
            snapshot,
            seq,
            snapshot_seq,
            last_at,
            body,
            center,
            line,
            present,
            grace_left_ms,
            last_seq,
            unrecorded,
            paces,
            credit_mm,
            rested_us,
            placed_us,
            players_max,
        } = image;
        Self {
            snapshot: snapshot.clone(),
            seq: *seq,
            snapshot_seq: *snapshot_seq,
            last_at_ms: last_at.0,
            body: body.map(Into::into),
            center: center.map(Into::into),
            line: line.map(Into::into),
            present: *present,
            grace_left_ms: *grace_left_ms,
            last_seq: *last_seq,
            refusals: unrecorded.iter().filter_map(refused).collect(),
            answers: unrecorded.iter().filter_map(answered).collect(),
            paces: paces
                .used()
                .iter()
                .map(|(name, rests)| wire::Pace { name: *name, rests_us: *rests })
                .collect(),
            credit_mm: *credit_mm,
            rested_us: *rested_us,
            placed_us: *placed_us,
            players_max: *players_max as u64,
        }
    }
}

impl TryFrom<wire::Offer> for Image {
    type Error = Malformed;

    fn try_from(offer: wire::Offer) -> Result<Self, Malformed> {
        Ok(Self {
            snapshot: offer.snapshot,
            seq: offer.seq,
            snapshot_seq: offer.snapshot_seq,
            last_at: WorldTime(offer.last_at_ms),
            body: maybe(offer.body)?,
            center: maybe(offer.center)?,
            line: maybe(offer.line)?,
            present: offer.present,
            grace_left_ms: offer.grace_left_ms,
            last_seq: offer.last_seq,
            unrecorded: {
                let refusals = offer.refusals.into_iter().map(read_refused);
                let answers = offer.answers.into_iter().map(|a| Ok((a.seq, a.fingerprint, Ok(a.reply))));
                refusals.chain(answers).collect::<Result<_, _>>()?
            },
            paces: Paces::of(offer.paces.into_iter().map(|pace| (pace.name, pace.rests_us))),
            credit_mm: offer.credit_mm,
            rested_us: offer.rested_us,
            placed_us: offer.placed_us,
            // A number beyond this machine's range means no limit.
            players_max: usize::try_from(offer.players_max).unwrap_or(usize::MAX),
        })
    }
}

fn refused((seq, fingerprint, result): &Unrecorded) -> Option<wire::GivenRefusal> {
    let refusal = result.as_ref().err()?;
    Some(wire::GivenRefusal { seq: *seq, fingerprint: *fingerprint, refusal: is(refusal) })
}

fn answered((seq, fingerprint, result): &Unrecorded) -> Option<wire::GivenAnswer> {
    let reply = result.as_ref().ok()?.clone();
    Some(wire::GivenAnswer { seq: *seq, fingerprint: *fingerprint, reply })
}

fn read_refused(given: wire::GivenRefusal) -> Result<Unrecorded, Malformed> {
    Ok((given.seq, given.fingerprint, Err(needed(given.refusal, "a refusal")?)))
}

impl From<TxId> for wire::TxId {
    fn from(tx: TxId) -> Self {
        Self { node: tx.node.0.into(), count: tx.count, incarnation: tx.incarnation }
    }
}

impl TryFrom<wire::TxId> for TxId {
    type Error = Malformed;

    fn try_from(tx: wire::TxId) -> Result<Self, Malformed> {
        Ok(Self { node: node(tx.node)?, incarnation: tx.incarnation, count: tx.count })
    }
}

impl From<Age> for wire::Age {
    fn from(Age(at_ms, node, count): Age) -> Self {
        Self { at_ms, node: node.0.into(), count }
    }
}

impl TryFrom<wire::Age> for Age {
    type Error = Malformed;

    fn try_from(age: wire::Age) -> Result<Self, Malformed> {
        Ok(Self(age.at_ms, node(age.node)?, age.count))
    }
}

impl From<&Actor> for wire::Actor {
    fn from(actor: &Actor) -> Self {
        let Actor { id, public, body } = actor;
        Self { id: is(*id), public: public.clone(), body: body.map(Into::into) }
    }
}

impl TryFrom<wire::Actor> for Actor {
    type Error = Malformed;

    fn try_from(actor: wire::Actor) -> Result<Self, Malformed> {
        Ok(Self { id: needed(actor.id, "an actor")?, public: actor.public, body: maybe(actor.body)? })
    }
}

impl From<&TxMessage> for transaction::Arrow {
    fn from(message: &TxMessage) -> Self {
        match message {
            TxMessage::Prepare { age, ask, exists, actor, alone } => Self::Prepare(wire::Prepare {
                age: is(*age),
                ask: ask.clone(),
                actor: is(actor),
                creates: *exists == Exists::No,
                alone: *alone,
            }),
            TxMessage::Read => Self::Read(wire::Read {}),
            TxMessage::Seen { public } => Self::Seen(wire::Seen { public: public.clone() }),
            TxMessage::Prepared(prepared) => Self::Prepared((&**prepared).into()),
            TxMessage::Refused(refusal) => {
                Self::PrepareRefused(wire::PrepareRefused { refusal: is(refusal) })
            }
            TxMessage::Busy => Self::Busy(wire::Busy {}),
            TxMessage::Commit => Self::Commit(wire::Commit {}),
            TxMessage::Abort { reload } => Self::Abort(wire::Abort { reload: *reload }),
            TxMessage::Fence => Self::Fence(wire::Fence {}),
            TxMessage::Conclude(parts) => {
                Self::Conclude(wire::Conclude { parts: parts.iter().map(Into::into).collect() })
            }
            TxMessage::Concluded(outcome) => {
                Self::Concluded(wire::Concluded { outcome: outcome_word(outcome).into() })
            }
        }
    }
}

impl TryFrom<transaction::Arrow> for TxMessage {
    type Error = Malformed;

    fn try_from(arrow: transaction::Arrow) -> Result<Self, Malformed> {
        use transaction::Arrow;
        Ok(match arrow {
            Arrow::Prepare(said) => Self::Prepare {
                age: needed(said.age, "an age")?,
                ask: said.ask,
                exists: if said.creates { Exists::No } else { Exists::Yes },
                actor: needed(said.actor, "an actor")?,
                alone: said.alone,
            },
            Arrow::Read(wire::Read {}) => Self::Read,
            Arrow::Seen(said) => Self::Seen { public: said.public },
            Arrow::Prepared(said) => Self::Prepared(Box::new(said.try_into()?)),
            Arrow::PrepareRefused(said) => Self::Refused(needed(said.refusal, "a refusal")?),
            Arrow::Busy(wire::Busy {}) => Self::Busy,
            Arrow::Commit(wire::Commit {}) => Self::Commit,
            Arrow::Abort(wire::Abort { reload }) => Self::Abort { reload },
            Arrow::Fence(wire::Fence {}) => Self::Fence,
            Arrow::Conclude(said) => Self::Conclude(all(said.parts)?),
            Arrow::Concluded(said) => Self::Concluded(read_outcome(said.outcome())),
        })
    }
}

/// How the word for an outcome goes between nodes. What only the appending node needs to know is left out.
fn outcome_word(outcome: &Outcome) -> wire::concluded::Outcome {
    use wire::concluded::Outcome as Word;
    match outcome {
        Outcome::Done => Word::Done,
        Outcome::Conflict | Outcome::Generation(_) => Word::Conflict,
        Outcome::Taken => Word::Taken,
        Outcome::Rejected(_) => Word::Rejected,
        Outcome::Unknown => Word::Unknown,
    }
}

fn read_outcome(word: wire::concluded::Outcome) -> Outcome {
    use wire::concluded::Outcome as Word;
    match word {
        Word::Done => Outcome::Done,
        Word::Conflict => Outcome::Conflict,
        Word::Taken => Outcome::Taken,
        Word::Rejected => Outcome::Rejected(String::new()),
        Word::Unknown => Outcome::Unknown,
    }
}

impl From<&Prepared> for wire::Prepared {
    fn from(prepared: &Prepared) -> Self {
        let Prepared { stream, names, reply, incarnation, appends } = prepared;
        Self {
            stream: is(stream),
            names: names.iter().map(Into::into).collect(),
            reply: reply.clone(),
            incarnation: *incarnation,
            appends: *appends,
        }
    }
}

impl TryFrom<wire::Prepared> for Prepared {
    type Error = Malformed;

    fn try_from(said: wire::Prepared) -> Result<Self, Malformed> {
        Ok(Self {
            stream: needed(said.stream, "a stream")?,
            names: all(said.names)?,
            reply: said.reply,
            incarnation: said.incarnation,
            appends: said.appends,
        })
    }
}
