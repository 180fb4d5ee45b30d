//! The handshake: what two nodes say about themselves, and why one refuses the other.

use std::fmt;

use gundo_types::NodeId;
use gundo_wire::fabric as wire;

use crate::settings::Identity;

/// Settings that one hello may list.
const SETTINGS_MAX: usize = 256;
/// Characters of a code, a name or a sentence that the other side says: more is cut off before anybody reads it.
const WORDS_MAX: usize = 512;

/// Why a node is not talked to: a stable code, and a sentence for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Stable. The codes are listed in docs/protocols-between-nodes.md.
    pub code: String,
    /// What is wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    pub(crate) fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }

    pub(crate) fn malformed(what: impl fmt::Display) -> Self {
        Self::new("malformed", format!("what the other side says is no hello: {what}"))
    }
}

impl From<Refused> for wire::Refused {
    fn from(Refused { code, text }: Refused) -> Self {
        Self { code, text }
    }
}

impl From<wire::Refused> for Refused {
    fn from(said: wire::Refused) -> Self {
        Self { code: clean(&said.code), text: clean(&said.text) }
    }
}

/// What another node says, as it may stand in a log: no control characters, and not too long.
fn clean(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

/// Which of a link's connections one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What must arrive, and heartbeats.
    Messages,
    /// Frames, and reports of them.
    Frames,
}

impl Lane {
    pub(crate) const ALL: [Self; 2] = [Self::Messages, Self::Frames];

    pub(crate) fn number(self) -> u32 {
        self.at() as u32 + 1
    }

    pub(crate) fn at(self) -> usize {
        match self {
            Self::Messages => 0,
            Self::Frames => 1,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

/// A hello, read and in range.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) node: NodeId,
    /// 0: it only asks.
    pub(crate) incarnation: u64,
    pub(crate) to: (NodeId, u64),
    pub(crate) link: u64,
    /// `None`: it only asks.
    pub(crate) lane: Option<Lane>,
}

/// What this node says.
pub(crate) fn say(
    me: &Identity,
    incarnation: u64,
    to: (NodeId, u64),
    link: u64,
    lane: Option<Lane>,
) -> wire::Parcel {
    let hello = wire::Hello {
        oldest: me.protocol.0,
        newest: me.protocol.1,
        world: me.world.clone(),
        cell: me.cell,
        game: me.game.clone(),
        settings: me.settings.clone(),
        node: me.node.0.into(),
        incarnation,
        to_node: to.0.0.into(),
        to_incarnation: to.1,
        link,
        lane: lane.map_or(0, Lane::number),
    };
    wire::Parcel { hello: Some(hello), ..wire::Parcel::default() }
}

/// Reads what another node says. It must belong to the same world, and understand this version.
pub(crate) fn read(me: &Identity, said: wire::Hello) -> Result<Hello, Refused> {
    // Versions first: whatever follows may mean something else in another version.
    let (oldest, newest) = me.protocol;
    let name = said.node;
    if said.newest < oldest {
        let text = format!(
            "node {name} is too old: it speaks the protocol between nodes up to version {}, and node {} from {oldest} on; update it",
            said.newest, me.node.0
        );
        return Err(Refused::new("too_old", text));
    }
    if said.oldest > newest {
        let text = format!(
            "node {name} is too new: it speaks the protocol between nodes from version {} on, and node {} up to {newest}; update version by version",
            said.oldest, me.node.0
        );
        return Err(Refused::new("too_new", text));
    }
    same_world(me, &said)?;
    let number = |number: u32, what| {
        u16::try_from(number)
            .map(NodeId)
            .map_err(|_| Refused::malformed(format_args!("{what} is out of range")))
    };
    let (node, to) = (number(said.node, "its node")?, number(said.to_node, "the node it wants")?);
    let lane = match said.lane {
        0 => None,
        lane => Some(Lane::from_number(lane).ok_or_else(|| Refused::malformed("an unknown lane"))?),
    };
    if node.0 == 0 || lane.is_some() != (said.incarnation > 0) {
        return Err(Refused::malformed("its node or incarnation is missing"));
    }
    Ok(Hello { node, incarnation: said.incarnation, to: (to, said.to_incarnation), link: said.link, lane })
}

fn same_world(me: &Identity, said: &wire::Hello) -> Result<(), Refused> {
    let (it, mine) = (said.node, me.node.0);
    if said.world != me.world {
        let text = format!(
            "node {it} is of world {:?}, and node {mine} of world {:?}: give each world its own addresses, coordinator and journal",
            clean(&said.world),
            me.world
        );
        return Err(Refused::new("other_world", text));
    }
    if said.cell != me.cell {
        let text = format!(
            "node {it} is of cell {}, and node {mine} of cell {}: nodes mesh inside their cell only",
            said.cell, me.cell
        );
        return Err(Refused::new("other_cell", text));
    }
    if said.game != me.game {
        let text = format!(
            "node {it} runs the game {:?}, and node {mine} the game {:?}",
            clean(&said.game),
            me.game
        );
        return Err(Refused::new("other_game", text));
    }
    if said.settings.len() > SETTINGS_MAX {
        return Err(Refused::malformed("too many settings"));
    }
    for wire::Setting { name, value } in &me.settings {
        // A setting that one side does not know yet is compared when both do.
        let other = said.settings.iter().find(|setting| setting.name == *name && setting.value != *value);
        if let Some(other) = other {
            let text = format!(
                "node {it} has {name} = {}, and node {mine} has {value}: the settings of a world are equal on all its nodes",
                other.value
            );
            return Err(Refused::new("other_settings", text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gundo_kernel::WorldSettings;

    use super::*;

    fn me() -> Identity {
        Identity::new("w", 0, "pioneer", &WorldSettings::default(), NodeId(1))
    }

    fn said(change: impl FnOnce(&mut Identity)) -> wire::Hello {
        let mut other = Identity { node: NodeId(2), ..me() };
        change(&mut other);
        say(&other, 7, (NodeId(1), 5), 99, Some(Lane::Frames)).hello.expect("a hello")
    }

    fn code(said: wire::Hello) -> String {
        read(&me(), said).map_or_else(|refused| refused.code, |_| "taken".to_owned())
    }

    #[test]
    fn what_differs_is_refused_by_name() {
        assert_eq!(code(said(|_| ())), "taken");
        assert_eq!(code(said(|other| other.world = "x".into())), "other_world");
        assert_eq!(code(said(|other| other.cell = 1)), "other_cell");
        assert_eq!(code(said(|other| other.game = "meadow".into())), "other_game");
        assert_eq!(code(said(|other| other.settings[0].value += 1)), "other_settings");
        assert_eq!(code(said(|other| other.protocol = (0, 0))), "too_old");
        assert_eq!(code(said(|other| other.protocol = (2, 3))), "too_new");
        assert_eq!(code(said(|other| other.protocol = (0, 9))), "taken");
        let refused = read(&me(), said(|other| other.settings[0].value = 50)).expect_err("another tick");
        assert!(refused.text.contains("node 2 has tick_ms = 50, and node 1 has 100"), "{refused}");
    }

    #[test]
    fn a_setting_that_one_side_does_not_know_is_no_difference() {
        assert_eq!(code(said(|other| drop(other.settings.remove(3)))), "taken");
        let more = wire::Setting { name: "of_tomorrow".into(), value: 1 };
        assert_eq!(code(said(|other| other.settings.push(more))), "taken");
    }

    #[test]
    fn what_is_no_hello_is_malformed() {
        let with = |change: fn(&mut wire::Hello)| {
            let mut hello = said(|_| ());
            change(&mut hello);
            code(hello)
        };
        assert_eq!(with(|hello| hello.node = 1 << 16), "malformed");
        assert_eq!(with(|hello| hello.node = 0), "malformed");
        assert_eq!(with(|hello| hello.lane = 9), "malformed");
        assert_eq!(with(|hello| hello.lane = 0), "malformed");
        assert_eq!(with(|hello| hello.incarnation = 0), "malformed");
        assert_eq!(with(|hello| hello.settings = vec![wire::Setting::default(); 257]), "malformed");
        let rude = wire::Refused { code: "a\u{1b}[31m".into(), text: "x".repeat(10_000) };
        let read = Refused::from(rude);
        assert_eq!((read.code.as_str(), read.text.len()), ("a[31m", 512));
    }
}
