//! Commands that change nothing durable: they only show something to those nearby, or only answer.
//!
//! Nothing of them is recorded. Their answers are remembered like refusals, so that a repeat gets the same one and shows nothing
//! again. A crash of the player's node forgets them: then a repeat is decided once more.

use super::desk::Cx;
use super::entity::Entity;
use super::pending::Effect;
use super::queue::{Command, Work};
use crate::game::RawDone;

/// Whether nothing durable comes of a decision.
pub(super) fn only_shows(done: &RawDone) -> bool {
    let RawDone { events, reply: _, names, signals: _, tells, sends, timers, body } = done;
    let nothing = events.is_empty() && names.is_empty() && tells.is_empty();
    nothing && sends.is_empty() && timers.is_empty() && body.is_none()
}

impl Entity {
    /// Shows what a command shows, and answers it, once all that it may depend on is durable.
    pub(super) fn show_only(&mut self, cx: &mut Cx<'_>, command: Command, done: RawDone) {
        assert!(only_shows(&done), "{}: what lasts is recorded", self.id);
        if let Err(refusal) = self.check_sizes(cx, "decide", &done) {
            return self.refuse(cx, command, refusal);
        }
        let window = cx.core.world().limits.answers_kept;
        if let Some(player) = &mut self.player {
            player.remember(command.seq, &command.payload, Ok(done.reply.clone()), window);
        }
        let mut effects: Vec<_> = done.signals.into_iter().map(Effect::Signal).collect();
        effects.push(Effect::Reply { line: command.line, seq: command.seq, result: Ok(done.reply) });
        self.emit(cx, Some(Work::Command(command)), effects);
    }
}
