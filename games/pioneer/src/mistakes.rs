//! Mistakes in the rules, made on purpose: the proof that the simulator finds such mistakes (`cargo xtask sim mistakes`).
//!
//! They are compiled in only with the feature `planted`; no world has them.

/// A mistake in the rules of what players do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Who leaves a trade gets back twice what it had offered.
    EscrowTwice,
    /// A confirmation counts whichever version of the offers it names.
    OldVersionBelieved,
    /// Who ends a friendship does not end it for the other one.
    OneSidedFriends,
    /// What was taken out of a letter is still in it.
    AttachmentTakenTwice,
    /// A letter that goes back to its sender also stays.
    LetterReturnedTwice,
    /// What a stall sells is still on offer.
    SoldTwice,
    /// What is taken out of a guild's chest once comes into the bag twice.
    ChestTakenTwice,
    /// Who leaves a guild stays in its list of members.
    OneSidedMember,
    /// Everybody in a guild may take from its chest.
    TakenWithoutRight,
    /// A name is free for others as soon as its player has another one.
    NameFreedEarly,
    /// An old name is never released.
    OldNameKept,
    /// Who gives a unique thing away keeps it, and loses another one of its kind.
    UniqueCopied,
    /// A unique thing comes out of a letter with another id.
    IdChanged,
    /// Land that belongs to an estate can be claimed for another one.
    TwoOwners,
    /// Who loses an estate that nobody attends keeps the deed.
    LapsedStillHeld,
    /// Anybody may build on the land of an estate.
    BuiltWithoutRight,
    /// Who sells an estate keeps the deed.
    DeedSoldTwice,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::EscrowTwice,
        Self::OldVersionBelieved,
        Self::OneSidedFriends,
        Self::AttachmentTakenTwice,
        Self::LetterReturnedTwice,
        Self::SoldTwice,
        Self::ChestTakenTwice,
        Self::OneSidedMember,
        Self::TakenWithoutRight,
        Self::NameFreedEarly,
        Self::OldNameKept,
        Self::UniqueCopied,
        Self::IdChanged,
        Self::TwoOwners,
        Self::LapsedStillHeld,
        Self::BuiltWithoutRight,
        Self::DeedSoldTwice,
    ];
    /// Their names, and what each breaks.
    #[cfg(feature = "sim")]
    pub(crate) const WORDS: [(&'static str, &'static str); 17] = [
        ("escrow-twice", "Who leaves a trade gets back twice what it had offered: G4."),
        (
            "old-version-believed",
            "A confirmation of an old version of the offers exchanges the new one: the game's own.",
        ),
        ("one-sided-friends", "Who ends a friendship does not end it for the other one: G6."),
        ("attachment-taken-twice", "What was taken out of a letter is still in it: G4."),
        ("letter-returned-twice", "A letter that goes back to its sender also stays: G4."),
        ("sold-twice", "What a stall sells is still on offer: G4."),
        ("chest-taken-twice", "What is taken out of a guild's chest once comes into the bag twice: G6."),
        ("one-sided-member", "Who leaves a guild stays in its list of members: G6."),
        ("taken-without-right", "Everybody in a guild may take from its chest: the game's own."),
        ("name-freed-early", "A name is free as soon as its player has another one: the game's own."),
        ("old-name-kept", "An old name is never released: the game's own."),
        ("unique-copied", "Who gives a unique thing away keeps it, and loses another one: G4 of each id."),
        ("id-changed", "A unique thing comes out of a letter with another id: G4 of each id."),
        ("two-owners", "Land that belongs to an estate can be claimed for another one: the game's own."),
        ("lapsed-still-held", "Who loses an estate that nobody attends keeps the deed: the game's own."),
        ("built-without-right", "Anybody may build on the land of an estate: the game's own."),
        ("deed-sold-twice", "Who sells an estate keeps the deed: the game's own."),
    ];

    #[cfg(feature = "planted")]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::WORDS.iter().position(|(known, _)| *known == name).map(|at| Self::ALL[at])
    }
}
