//! The commands of a session: those that wait, those that were sent and have no answer, and how the client resends them.
//!
//! A command gets its seq when it is first sent, and keeps it: the server recognises by the seq what it has already
//! decided. Each command is answered once; a second answer is dropped. The session decides when to send commands.

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
    /// Nodes that were lost while an edge may have passed it on.
    lost: u32,
    /// Lives of edges whose connections were lost meanwhile: the next edge knows whether they live.
    lost_at: Vec<u64>,
}

/// Lives that are kept for one command: more than two that are lost make no difference.
const LIVES_MAX: usize = 8;

impl Pending {
    fn is_suspect(&self) -> bool {
        self.lost > 0 || !self.lost_at.is_empty()
    }

    /// The connection to an edge was lost over it; 0: of an earlier version, which does not say which life it was.
    fn lose(&mut self, life: u64) {
        if life == 0 {
            self.lost = self.lost.saturating_add(1);
        } else if !self.lost_at.contains(&life) {
            if self.lost_at.len() == LIVES_MAX {
                self.lost_at.remove(0);
            }
            self.lost_at.push(life);
        }
    }
}

/// All unanswered commands.
pub(super) struct Commands {
    unanswered_max: usize,
    waiting_max: usize,
    next_id: u64,
    next_seq: u64,
    /// Sent, or to be resent after a resume, by ascending seq.
    unanswered: VecDeque<Pending>,
    /// Not sent yet, so without a seq.
    waiting: VecDeque<(CommandId, Bytes, Time)>,
    repeats: u64,
}

impl Commands {
    /// No commands yet. At most `unanswered_max` may be sent without an answer; `waiting_max` more may wait.
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

    /// The number of unanswered commands.
    pub(super) fn open(&self) -> usize {
        self.unanswered.len() + self.waiting.len()
    }

    /// Replies that came for a command already answered.
    pub(super) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Keeps a new command until it can be sent.
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

    /// The next session belongs to another player: its seqs begin at 0.
    pub(super) fn begin_at_zero(&mut self) {
        self.next_seq = 0;
    }

    // ---- answers ----

    /// Handles a reply. `None`: the command was answered before.
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

    /// The session goes on: answers commands that were never sent and are older than this with `expired`.
    pub(super) fn expire(&mut self, now: Time, age_ms_max: u64) -> impl Iterator<Item = Answer> + use<> {
        let old = |asked: Time| now.since(asked) > age_ms_max.saturating_mul(1_000);
        // The oldest is first.
        let count = self.waiting.iter().take_while(|(_, _, asked)| old(*asked)).count();
        let expired: Vec<_> = self.waiting.drain(..count).collect();
        expired.into_iter().map(move |(id, _, asked)| {
            let refusal = Refusal {
                code: "expired".to_owned(),
                text: "The connection was down for a while. This was not done.".to_owned(),
                retry_ms: 0,
            };
            Answer { id, result: Err(refusal), waited_us: now.since(asked), sends: 0 }
        })
    }

    /// The session cannot be resumed: answers every command with `session_lost`.
    pub(super) fn lose_all(&mut self, now: Time) -> impl Iterator<Item = Answer> {
        let sent = std::mem::take(&mut self.unanswered).into_iter().map(|p| (p.id, p.asked, p.sends));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(id, _, asked)| (id, asked, 0));
        sent.chain(waiting).map(move |(id, asked, sends)| {
            let refusal = Refusal {
                code: "session_lost".to_owned(),
                text: "The session ended before an answer came.".to_owned(),
                retry_ms: 0,
            };
            Answer { id, result: Err(refusal), waited_us: now.since(asked), sends }
        })
    }

    // ---- suspicion ----

    /// The edge suspects that these commands took a node down.
    pub(super) fn suspect(&mut self, seqs: &[u64]) {
        for pending in self.unanswered.iter_mut().filter(|p| seqs.contains(&p.seq)) {
            pending.lost = pending.lost.saturating_add(1);
        }
    }

    /// The connection ended without a `Closing`, perhaps together with its node, and perhaps because of one of these
    /// commands. The edge passes them on in order; one that is already suspected goes alone.
    pub(super) fn count_loss(&mut self, life: u64) {
        let first = self.unanswered.iter().position(Pending::is_suspect).unwrap_or(self.unanswered.len());
        self.unanswered.iter_mut().take(first.max(1)).for_each(|pending| pending.lose(life));
    }

    // ---- sending ----

    /// After a resume: resends every unanswered command. Of those that are older than this it only asks what became of them.
    pub(super) fn send_again(&mut self, now: Time, age_ms_max: u64, outputs: &mut VecDeque<Output>) {
        let mut batch = Batch::default();
        for pending in &mut self.unanswered {
            pending.sends += 1;
            let command = Command {
                seq: pending.seq,
                payload: pending.payload.clone(),
                lost: pending.lost,
                lost_at: pending.lost_at.clone(),
                asks: now.since(pending.asked) > age_ms_max.saturating_mul(1_000),
            };
            batch.push(command, outputs);
        }
        batch.flush(outputs);
    }

    /// Sends waiting commands, until `unanswered_max` are unanswered.
    pub(super) fn send_waiting(&mut self, outputs: &mut VecDeque<Output>) {
        let mut batch = Batch::default();
        while self.unanswered.len() < self.unanswered_max {
            let Some((id, payload, asked)) = self.waiting.pop_front() else { break };
            let seq = self.next_seq;
            // At the end of all numbers, which no honest edge reaches, the seq stays the same.
            self.next_seq = self.next_seq.saturating_add(1);
            batch.push(Command { seq, payload: payload.clone(), ..Command::default() }, outputs);
            let (lost, lost_at) = (0, Vec::new());
            self.unanswered.push_back(Pending { id, seq, payload, asked, sends: 1, lost, lost_at });
        }
        batch.flush(outputs);
    }
}

/// Collects commands into messages that stay below the server's limit of 16 KiB.
#[derive(Default)]
struct Batch {
    commands: Vec<Command>,
    bytes: usize,
}

impl Batch {
    /// Three quarters of `Limits::client_message_bytes_max`: a command of the largest size still fits behind these.
    const BYTES_MAX: usize = 12 * 1024;

    fn push(&mut self, command: Command, outputs: &mut VecDeque<Output>) {
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
