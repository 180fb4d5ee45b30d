//! Commands over which connections were lost: was it the line, or the edge behind it?
//!
//! A client names the edges whose connections it lost over a command. An edge that lives on, or that lives elsewhere and goes on
//! sending heartbeats, was not taken down by the command: that loss is the line's and does not count. One that is no member any more
//! was lost. While this edge does not know, and it would be the second loss, the command waits.

use gundo_types::{ConnId, NodeId};
use gundo_wire::client::Command;

use super::room::{Edge, Rooms};
use super::session::{Doubt, Unanswered};
use crate::core::Core;

/// So many heartbeats prove that a node lives: earlier ones may have been under way when it was lost.
const BEATS: u8 = 3;
/// How long an edge waits for a heartbeat, or for the end of the membership, ms. After that it counts as lost.
const DOUBT_MS: u64 = 5_000;
/// Lives that a client may name for one command: more than two make no difference.
const LIVES_MAX: usize = 8;

impl Unanswered {
    /// A client's command, and what was lost over it: so many nodes for certain, and the edges that it names.
    pub(super) fn new(core: &Core, said: Command) -> Self {
        let losses = u8::try_from(said.lost).unwrap_or(u8::MAX);
        let Command { payload, asks, .. } = said;
        let mut command = Self { payload, losses, doubts: Vec::new(), asks, passed: false };
        let until = core.now.time.plus_ms(DOUBT_MS);
        for life in
            said.lost_at.iter().copied().take(LIVES_MAX).filter(|life| *life != core.settings.incarnation)
        {
            match core.view.members.iter().find(|member| member.incarnation == life) {
                Some(member) => command.doubts.push(Doubt { node: member.node, life, beats: 0, until }),
                None => command.losses = command.losses.saturating_add(1),
            }
        }
        command
    }

    /// Nodes that were lost over it, or may have been.
    pub(super) fn losses_at_most(&self) -> usize {
        usize::from(self.losses) + self.doubts.len()
    }

    /// Counts the edges in doubt that are lost for certain.
    fn settle(&mut self, core: &Core) {
        let now = core.now.time;
        let is_lost = |doubt: &mut Doubt| {
            doubt.until <= now || !core.view.members.iter().any(|member| member.incarnation == doubt.life)
        };
        let lost = self.doubts.extract_if(.., is_lost).count();
        self.losses = self.losses.saturating_add(u8::try_from(lost).unwrap_or(u8::MAX));
    }
}

impl Edge {
    /// A heartbeat of another node: it lives.
    pub(crate) fn on_beat(&mut self, cx: &mut Rooms<'_>, from: NodeId) {
        self.look_at_doubts(cx, |doubt| {
            doubt.beats += u8::from(doubt.node == from);
            doubt.beats >= BEATS
        });
    }

    /// Once per second, and after a new view: those that are gone, or silent for too long, count as lost.
    pub(crate) fn settle_doubts(&mut self, cx: &mut Rooms<'_>) {
        self.look_at_doubts(cx, |_| false);
    }

    fn look_at_doubts(&mut self, cx: &mut Rooms<'_>, mut lives: impl FnMut(&mut Doubt) -> bool) {
        let mut settled: Vec<ConnId> = Vec::new();
        self.doubting.retain(|conn| {
            let Some(session) = self.sessions.get_mut(conn) else { return false };
            let mut left = 0;
            for command in session.unanswered.values_mut().filter(|command| !command.doubts.is_empty()) {
                command.settle(cx.core);
                command.doubts.retain_mut(|doubt| !lives(doubt));
                left += command.doubts.len();
            }
            settled.push(*conn);
            left > 0
        });
        settled.into_iter().for_each(|conn| self.pass_on(cx, conn));
    }
}
