//! Who may come in as a new player, where not everybody may.
//!
//! An invitation has the id of the player that comes by it: so it is good for one, and that player's stream says whether it was
//! used. Nothing else is kept. The edge checks form, MAC and date from memory.

use gundo_types::{Admission, EntityId};
use gundo_wire::client::Hello;

use super::room::Rooms;
use crate::game::Refusal;
use crate::peer::{Code, NoCode};

const DAY_MS: u64 = 86_400_000;

/// Whether a hello without a key may make a player. `Some`: the id of that player, by its invitation.
pub(super) fn admit(cx: &Rooms<'_>, hello: &Hello) -> Result<Option<u64>, Refusal> {
    let admission = cx.core.world().newcomers;
    if admission == Admission::Closed {
        let text = "This world takes no new players. People who have a player here may come back.";
        return Err(Refusal::new("no_newcomers", text));
    }
    if hello.name.is_empty() && hello.nonce.is_empty() {
        return Err(Refusal::new("name_wanted", "Choose a name."));
    }
    match (admission, hello.invitation.is_empty()) {
        (Admission::Open, true) => Ok(None),
        // Nobody needs one.
        (Admission::Open, false) => Ok(read(cx, &hello.invitation).ok()),
        (_, false) => read(cx, &hello.invitation).map(Some),
        (_, true) => {
            let text = "This world is for people with an invitation. Ask the people who run it.";
            Err(Refusal::new("invitation_needed", text))
        }
    }
}

fn read(cx: &Rooms<'_>, text: &str) -> Result<u64, Refusal> {
    let code = Code::read(text).map_err(|no| match no {
        NoCode::Form => bad("An invitation has seven groups of five letters and digits."),
        NoCode::Mistyped => {
            bad("There is a mistake in this invitation. Please compare it with the one that you were given.")
        }
    })?;
    let player = EntityId::new(cx.core.settings.rules.player_kind(), code.player);
    if !cx.core.settings.secret.made_invitation(player, &code) {
        return Err(bad("This is no invitation to this world."));
    }
    let until = u64::from(code.number);
    if until > 0 && cx.core.now.world.0 >= until.saturating_mul(DAY_MS) {
        return Err(bad("This invitation is too old. Ask for a new one."));
    }
    Ok(code.player)
}

fn bad(text: &'static str) -> Refusal {
    Refusal::new("bad_invitation", text)
}

/// What an invited player's real says of a key that is not its: another one has come by the invitation.
pub(super) fn used() -> Refusal {
    bad("Somebody has come in by this invitation already. It is good for one.")
}
