//! The commands of a session: those that wait, those that were sent and have no answer, and how they are sent again.
//!
//! A command gets its seq when it is sent first, and keeps it: by the seq the server knows what it has decided already. Each
//! command is answered once; a second answer is dropped. The session decides when commands may be sent.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::Time;
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Command, Refusal, Reply};

use super::{Answer, CommandId, Full, Output};

/// A command that was sent.
struct Pending {
    id: CommandId,
    seq: u64,
    payload: Bytes,
    asked: Time,
    sends: u32,
    /// Connections that were lost while an edge may have had it decided.
    lost: u32,
}

/// All commands without an answer.
pub(super) struct Commands {
    unanswered_max: usize,
    waiting_max: usize,
    next_id: u64,
    next_seq: u64,
    /// Sent (or to be sent again after a resume), by ascending seq.
    unanswered: VecDeque<Pending>,
    /// Not yet given a seq.
    waiting: VecDeque<(CommandId, Bytes, Time)>,
    repeats: u64,
}

impl Commands {
    /// None yet. At most `unanswered_max` are sent without an answer; beyond, `waiting_max` wait.
    pub(super) fn new(unanswered_max: usize, waiting_max: usize) -> Self {
        Self {
            unanswered_max,
            waiting_max,
            next_id: 1,
            next_seq: 0,
            unanswered: VecDeque::new(),
            waiting: VecDeque::new(),
            repeats: 0,
        }
    }

    /// How many have no answer.
    pub(super) fn open(&self) -> usize {
        self.unanswered.len() + self.waiting.len()
    }

    /// Answers that came for a seq already answered.
    pub(super) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Keeps another one until it can be sent.
    pub(super) fn push(&mut self, now: Time, payload: Bytes) -> Result<CommandId, Full> {
        if self.waiting.len() >= self.waiting_max {
            return Err(Full);
        }
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back((id, payload, now));
        Ok(id)
    }

    /// The server expects no seq below this one.
    pub(super) fn continue_at(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// The next session is another player's: its seqs begin at 0.
    pub(super) fn begin_at_zero(&mut self) {
        self.next_seq = 0;
    }

    // ---- answers ----

    /// Takes a reply. `None`: that command was answered before.
    pub(super) fn on_reply(&mut self, now: Time, reply: Reply) -> Option<Answer> {
        let Ok(at) = self.unanswered.binary_search_by_key(&reply.seq, |p| p.seq) else {
            self.repeats += 1;
            return None;
        };
        let pending = self.unanswered.remove(at).expect("binary_search gave an index within");
        let result = match reply.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(reply.payload),
        };
        let waited_us = now.since(pending.asked);
        Some(Answer { id: pending.id, result, waited_us, sends: pending.sends })
    }

    /// The session cannot be resumed: every command is answered with `session_lost`.
    pub(super) fn lose_all(&mut self, now: Time) -> impl Iterator<Item = Answer> {
        let sent = std::mem::take(&mut self.unanswered).into_iter().map(|p| (p.id, p.asked, p.sends));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(id, _, asked)| (id, asked, 0));
        sent.chain(waiting).map(move |(id, asked, sends)| {
            let refusal = Refusal {
                code: "session_lost".to_owned(),
                text: "The session ended before an answer came.".to_owned(),
            };
            Answer { id, result: Err(refusal), waited_us: now.since(asked), sends }
        })
    }

    // ---- suspicion ----

    /// The edge suspects that these took a node down.
    pub(super) fn suspect(&mut self, seqs: &[u64]) {
        for pending in self.unanswered.iter_mut().filter(|p| seqs.contains(&p.seq)) {
            pending.lost = pending.lost.saturating_add(1);
        }
    }

    /// The connection went without a word, perhaps with its node, and perhaps by one of these commands. The edge passes them on
    /// in order; one that is suspected already goes alone.
    pub(super) fn count_loss(&mut self) {
        let first = self.unanswered.iter().position(|p| p.lost > 0).unwrap_or(self.unanswered.len());
        for pending in self.unanswered.iter_mut().take(first.max(1)) {
            pending.lost = pending.lost.saturating_add(1);
        }
    }

    // ---- sending ----

    /// After a resume: sends again what has no answer.
    pub(super) fn send_again(&mut self, outputs: &mut VecDeque<Output>) {
        let mut batch = Batch::default();
        for pending in &mut self.unanswered {
            pending.sends += 1;
            batch.push(pending.seq, &pending.payload, pending.lost, outputs);
        }
        batch.flush(outputs);
    }

    /// Sends what waits, until `unanswered_max` have no answer.
    pub(super) fn send_waiting(&mut self, outputs: &mut VecDeque<Output>) {
        let mut batch = Batch::default();
        while self.unanswered.len() < self.unanswered_max {
            let Some((id, payload, asked)) = self.waiting.pop_front() else { break };
            let seq = self.next_seq;
            // At the end of all numbers, which no honest edge reaches, they stand still.
            self.next_seq = self.next_seq.saturating_add(1);
            batch.push(seq, &payload, 0, outputs);
            self.unanswered.push_back(Pending { id, seq, payload, asked, sends: 1, lost: 0 });
        }
        batch.flush(outputs);
    }
}

/// Commands gathered into messages that stay below the server's limit of 16 KiB.
#[derive(Default)]
struct Batch {
    commands: Vec<Command>,
    bytes: usize,
}

impl Batch {
    /// Three quarters of `Limits::client_message_bytes_max`: a command of the largest size still fits behind.
    const BYTES_MAX: usize = 12 * 1024;

    fn push(&mut self, seq: u64, payload: &Bytes, lost: u32, outputs: &mut VecDeque<Output>) {
        let command = Command { seq, payload: payload.clone(), lost };
        let bytes = command.encoded_len() + 4;
        if self.bytes + bytes > Self::BYTES_MAX {
            self.flush(outputs);
        }
        self.bytes += bytes;
        self.commands.push(command);
    }

    fn flush(&mut self, outputs: &mut VecDeque<Output>) {
        if !self.commands.is_empty() {
            let commands = std::mem::take(&mut self.commands);
            outputs.push_back(Output::Send(ClientMessage { commands, ..Default::default() }));
        }
        self.bytes = 0;
    }
}
