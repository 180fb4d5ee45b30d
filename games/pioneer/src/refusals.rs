//! Every refusal of the game in one place: its stable code and its friendly sentence.

use gundo::Refusal;

/// Why the game says no. `Refusal::from(No::TooFar)` is what the player gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// The command is empty or has numbers that mean nothing here.
    Unclear,
    /// A thing or a place is out of reach.
    TooFar,
    /// There is no such thing (any more).
    NothingThere,
    /// The thing is there, but nothing has grown yet.
    NothingGrown,
    /// The inventory has no room for the gain.
    InventoryFull,
    /// A recipe, building or dye needs more than the player has.
    MissingItems,
    /// The receiver of a gift has no room for it.
    NoRoom,
    /// A gift to oneself.
    Yourself,
    /// The item is not in the inventory.
    NotYours,
    /// Water or cliff under a building.
    BadGround,
    /// Another building or something that grows is in the way of a building.
    NotFree,
    /// A player stands where the building would be.
    SomeoneThere,
    /// A chunk has as many buildings as it can have.
    LandFull,
    /// The building is another player's.
    NotOwner,
    /// Walking: water.
    Water,
    /// Walking: a cliff.
    Cliff,
    /// Walking: a building.
    Wall,
}

impl No {
    /// All of them, in order.
    pub const ALL: [No; 17] = [
        No::Unclear,
        No::TooFar,
        No::NothingThere,
        No::NothingGrown,
        No::InventoryFull,
        No::MissingItems,
        No::NoRoom,
        No::Yourself,
        No::NotYours,
        No::BadGround,
        No::NotFree,
        No::SomeoneThere,
        No::LandFull,
        No::NotOwner,
        No::Water,
        No::Cliff,
        No::Wall,
    ];

    /// Stable; clients and tests depend on it.
    pub const fn code(self) -> &'static str {
        self.parts().0
    }

    /// One friendly sentence for the player.
    pub const fn text(self) -> &'static str {
        self.parts().1
    }

    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            No::Unclear => ("unclear", "That makes no sense on this island."),
            No::TooFar => ("too_far", "That is out of reach. Step closer."),
            No::NothingThere => ("nothing_there", "There is nothing like that here any more."),
            No::NothingGrown => ("nothing_grown", "Nothing to gather yet. Come back when it has grown."),
            No::InventoryFull => ("inventory_full", "Your bags are full. Craft or build something first."),
            No::MissingItems => ("missing_items", "You do not have everything that takes."),
            No::NoRoom => ("no_room", "Their bags are full."),
            No::Yourself => ("yourself", "You have that already."),
            No::NotYours => ("not_yours", "You do not have that."),
            No::BadGround => ("bad_ground", "The ground does not hold here. Build on dry, level land."),
            No::NotFree => ("not_free", "Something is in the way. Find a free spot or clear it first."),
            No::SomeoneThere => ("someone_there", "Somebody stands there. Wait until they have moved on."),
            No::LandFull => ("land_full", "This piece of land is full of buildings."),
            No::NotOwner => ("not_owner", "That belongs to somebody else."),
            No::Water => ("water", "You cannot swim."),
            No::Cliff => ("cliff", "Too steep to climb."),
            No::Wall => ("wall", "A building bars the way."),
        }
    }
}

impl From<No> for Refusal {
    fn from(no: No) -> Self {
        Refusal::new(no.code(), no.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_snake_case() {
        let mut codes: Vec<_> = No::ALL.iter().map(|no| no.code()).collect();
        assert!(codes.iter().all(|c| c.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), No::ALL.len());
    }
}
