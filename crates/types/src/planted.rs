//! Classic bugs that can be planted into a node or a journal: the simulator's proof that its checkers find them.
//!
//! The switches are compiled in only with the feature `planted` of the crate that has them; no production binary does.

macro_rules! planted {
    ($($mistake:ident $name:literal $about:literal)*) => {
        /// A bug on purpose. Each says what is wrong and which guarantee (G1 to G12 in ARCHITECTURE.md) it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Planted {
            $(#[doc = $about] $mistake,)*
        }

        impl Planted {
            /// All of them: those of the journal first, then those of the node.
            pub const ALL: &[Self] = &[$(Self::$mistake,)*];

            /// Its name, in kebab case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$mistake => $name,)* }
            }

            /// What is wrong and what it breaks, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$mistake => $about,)* }
            }
        }
    };
}

planted! {
    // ---- the journal -----------------------------------------------------------------------------------
    LeaversWrite "leavers-write"
        "The journal accepts appends of an incarnation whose row in `members` was deleted: G2."
    SeqUnchecked "seq-unchecked"
        "The journal lets an append overwrite events that are there already: G2."
    GapAccepted "gap-accepted"
        "The journal accepts an append whose predecessor is not there yet: G2."
    StaleAppend "stale-append"
        "The journal accepts an append below the pruning line, where its seqs are free again: G2."
    LaterBatchLands "later-batch-lands"
        "A batch lands that was decided on top of one that failed: G3."
    BarsOfOthers "bars-of-others"
        "The journal compares the load numbers of different nodes, and refuses land to a node for ever: G10."
    TornAppend "torn-append"
        "Of an append over several streams only the first is written: G6."
    TailLost "tail-lost"
        "A load gives the snapshot without the events after it: G1."
    SnapshotUnfenced "snapshot-unfenced"
        "A snapshot is kept though the append it came with did not land: G3."
    NameTakenTwice "name-taken-twice"
        "A name that has an owner is taken by another: G4."
    RemovesPlayed "removes-played"
        "Of players who have not been here for long also those are removed who have done something: G1."

    // ---- commands and answers --------------------------------------------------------------------------
    NoDedupe "no-dedupe"
        "A command that is resent is decided again: G5."
    AnswersForgotten "answers-forgotten"
        "The answers kept in a snapshot are forgotten by a load: G5."
    EarlyReply "early-reply"
        "The client hears of a success before its event is durable: G7."
    EarlyRefusal "early-refusal"
        "The client hears of a refusal before the events that it depends on are durable: G7."
    EarlyFrame "early-frame"
        "Others see an entity's public part before the event that changed it is durable: G7."

    // ---- appends ---------------------------------------------------------------------------------------
    UnknownIsDone "unknown-is-done"
        "An append of unknown outcome is taken for done: G1."
    UnknownIsRefused "unknown-is-refused"
        "A command whose append has an unknown outcome is refused, though it may have landed: G5."
    UnknownRetried "unknown-retried"
        "A command whose append has an unknown outcome is decided and sent again, whether it landed or not: G5."
    RefusedStays "refused-stays"
        "The changes of a rejected append stay in memory, and later in a snapshot: G3."
    PrepareUnlocked "prepare-unlocked"
        "A participant of a transaction answers without locking itself: G6."
    LockLeftBehind "lock-left-behind"
        "A player that takes part in a transaction is handed to another node before the outcome, and its lock stays behind: G10."
    LockUnfenced "lock-unfenced"
        "A participant that hears no outcome frees itself without a fence: G3."
    CommitEarly "commit-early"
        "Participants are told that a transaction has landed when its append is sent: G7."
    GiftTwice "gift-twice"
        "A player that was loaded for a transaction applies its part twice: G4."
    RetryUnaborted "retry-unaborted"
        "A transaction that begins again with a new id does not end its first try at those who have answered: G10."
    StaleSnapshot "stale-snapshot"
        "The snapshot of a transaction's participant lacks the events of its own append: G3."
    LaterFieldsLost "later-fields-lost"
        "A node that rewrites a snapshot or a session drops the fields that a newer version wrote there: G1."
    LoadNotRetried "load-not-retried"
        "A failed load is not retried: G10."
    EntitiesNotReloaded "entities-not-reloaded"
        "When the journal has gone back to an earlier state, entities go on from what they remember: G3."
    TailNotNamed "tail-not-named"
        "When the journal has gone back to an earlier state, nobody says what is lost: G1."
    TimeRunsBack "time-runs-back"
        "An event is dated before the entity's last one when its new node's clock is behind: G3."

    BusyThoughSent "busy-though-sent"
        "When the journal is slow, commands that were sent to it are refused with those that were not: G5."
    WaitsForEver "waits-for-ever"
        "When the journal is slow, commands wait for it without a limit: G12."
    OverloadStays "overload-stays"
        "A node that had too much to do never lets anybody new in again: G10."
    MotionWaits "motion-waits"
        "When the journal is slow, nobody can walk: G12."

    // ---- transactions ----------------------------------------------------------------------------------
    PartLeftOut "part-left-out"
        "The events of a transaction's first participant are left out of its append: G6."
    HalfCommit "half-commit"
        "When a transaction has landed, the first participant gets a commit and the others an abort: G6."
    AbortAfterAppend "abort-after-append"
        "A coordinator that has lost patience aborts a transaction whose append is already in flight: G6."
    AbortOvertaken "abort-overtaken"
        "A prepare that comes after its own abort locks the participant: G10."
    PrepareOutlives "prepare-outlives"
        "A participant prepares for a coordinator that was lost meanwhile, and stays locked: G10."
    LockKept "lock-kept"
        "A participant whose transaction does not commit stays locked: G10."

    // ---- homes -----------------------------------------------------------------------------------------
    TwoHolders "two-holders"
        "A home grants an entity that a node already owns, so that it is real on two nodes: G2."
    HomeNotOpen "home-not-open"
        "A home answers before every member has announced what it owns: G2."
    InterestNotAnnounced "interest-not-announced"
        "After a new view a node does not tell the homes which chunks it subscribes to: G8."

    LowerTermAccepted "lower-term-accepted"
        "A home believes the node that spoke last, not the one with the higher term, about who owns an entity: G8."

    OwnerForgotten "owner-forgotten"
        "A home that grants a player forgets that, and grants it to the next who asks: G2."
    TellsTwice "tells-twice"
        "What a decision tells a player is sent twice: G5."
    TellsEarly "tells-early"
        "A player is told of a decision before its event is durable: G7."
    MailEarly "mail-early"
        "A message to another entity is sent before the event that sends it is durable: G7."
    MailTwice "mail-twice"
        "An entity takes a message that it has taken before: G5."
    OwedForgotten "owed-forgotten"
        "An entity that comes from the journal or from another node forgets which messages it owes: G1."
    OwedPruned "owed-pruned"
        "A snapshot lacks the messages that are owed, and the events before it do not count any more: G1."
    NobodyWoken "nobody-woken"
        "Homes do not load entities that owe messages or have timers, so after a crash nobody sends them: G10."
    TimerTwice "timer-twice"
        "A timer that has rung is not over, and rings again: G5."
    TimerEarly "timer-early"
        "A timer rings three seconds before it is due: G5."
    TimerLost "timer-lost"
        "An entity that comes from the journal or from another node forgets its timers: G10."
    TimerPruned "timer-pruned"
        "A snapshot lacks the timers, and the events before it do not count any more: G1."
    TimerCancelIgnored "timer-cancel-ignored"
        "A timer that a decision cancels rings all the same: G5."
    OrderTwice "order-twice"
        "An entity takes an operator's order that it has taken before: G5."
    OrderLost "order-lost"
        "An operator hears that an order is done before the event that says so is durable: G1."
    OrderRefusalForgotten "order-refusal-forgotten"
        "An order that was refused leaves no record, and a late copy of it may be done: G5."
    FavoursItsOwn "favours-its-own"
        "An entity that several want at the same time is busy to other nodes, again and again: G10."
    ConcludedEarly "concluded-early"
        "A node that appends for a coordinator says that the append has landed before it has: G7."
    ConcludeUnanswered "conclude-unanswered"
        "A node that cannot append what a coordinator gives it does not say so: G10."
    AppenderForgotten "appender-forgotten"
        "A coordinator waits for ever for the append of a node that was lost: G10."
    RefusesOnTop "refuses-on-top"
        "A command is refused because of what another entity has decided and is not durable yet: G7."
    OldGoneBelieved "old-gone-believed"
        "A player's last owner says that its connection is gone, and is believed though the edge has spoken since: G10."
    NobodyWounded "nobody-wounded"
        "An older transaction waits for a younger one, which may wait for it: G10."

    // ---- takeover and handoff --------------------------------------------------------------------------
    RemovedGoesOn "removed-goes-on"
        "A node that was removed from the view goes on as if nothing had happened: G10."
    HangIsNoFailure "hang-is-no-failure"
        "A node takes a renewal that nobody answers for a success and says so, and the others end: G10."
    RowNotAsked "row-not-asked"
        "A node that the coordinator does not renew never asks the journal for its row, and ends: G10."
    CutUnresolved "cut-unresolved"
        "Two members that cannot reach each other both stay for ever, because others hear both: G10."
    OutageExpires "outage-expires"
        "The first member to reach the coordinator after an outage removes all others, whose leases are over too: G10."
    OldBreakBelieved "old-break-believed"
        "A late report about the link to a node's earlier incarnation counts against the present one: G10."
    ClockJumps "clock-jumps"
        "When a machine's clock is set, world time jumps with it: G10."
    ClockRunsBack "clock-runs-back"
        "When a machine's clock is set back a little, world time runs back with it: G10."
    SlewsAtOnce "slews-at-once"
        "A node whose world time differs from that of the others makes up for it at once, not by one per cent: G10."
    OffClockUnnoticed "off-clock-unnoticed"
        "A node whose world time is far from that of the others takes players: G10."
    TakeoverUnfenced "takeover-unfenced"
        "A dead node is taken from the view, and its row in `members` stays: G2."
    UnansweredLost "unanswered-lost"
        "An edge does not resend what was unanswered when its player's node died: G10."
    GhostsOfTheDead "ghosts-of-the-dead"
        "Clients do not hear that the entities of a dead node are no longer shown: G8."
    ThawsAfterGrant "thaws-after-grant"
        "A node that has handed a player to another goes on with its own copy: G8."
    AnybodySpeaks "anybody-speaks"
        "An edge obeys whatever node speaks for a player, and a player whatever node speaks for a connection: G11."
    GhostAdopted "ghost-adopted"
        "A player is adopted by a connection that has closed, or whose edge was lost, while the request waited: G12."
    ForgedPlace "forged-place"
        "A node that takes a player over believes its client about where it stands: G8."
    SpeedUnchecked "speed-unchecked"
        "An owner lets a client walk as fast as it says: G8."
    WallsIgnored "walls-ignored"
        "An owner does not ask the game whether a player may walk where its client says: G8."
    LateForever "late-forever"
        "An owner takes each of a client's moves for one of the last minute, whether its line was silent or not: G8."
    SealUnchecked "seal-unchecked"
        "After a crash a node believes a client about where its player was last, whoever has sealed that: G8."
    AdoptionIgnored "adoption-ignored"
        "A player goes on in a connection although a newer one has adopted its session: G11."

    // ---- links -----------------------------------------------------------------------------------------
    LinkDoesNotResend "link-does-not-resend"
        "What a broken connection lost between two nodes is not sent again: G10."
    OwnPauseBlamed "own-pause-blamed"
        "A node that stood still itself blames the others for what it has not heard meanwhile: G10."
    OldWordBelieved "old-word-believed"
        "A node believes when others were confirmed, as heartbeats say, however late they come and their clocks run: G10."
    BigInOnePiece "big-in-one-piece"
        "A message that is too long travels in one piece: G12."
    LinkTakesTwice "link-takes-twice"
        "A message between nodes that arrives twice is taken twice: G8."
    LinkTakesWithGaps "link-takes-with-gaps"
        "A node takes messages of another one although earlier ones are missing: G10."
    LaterNotTaken "later-not-taken"
        "A node does not take a message of a kind that it does not know, and the link stands still: G10."
    LinkResetUnnoticed "link-reset-unnoticed"
        "A node does not react when messages of another one were lost for good: G10."

    // ---- isolation -------------------------------------------------------------------------------------
    PanicNotReloaded "panic-not-reloaded"
        "An entity whose code panicked goes on with the state that the code left behind: G3."
    SuspendedDecides "suspended-decides"
        "An entity that is suspended for its panics goes on deciding: G9."
    BlamedLoads "blamed-loads"
        "An entity over which two nodes were lost is loaded a third time: G9."
    PoisonDecidedAgain "poison-decided-again"
        "A command over which two nodes were lost is decided a third time: G9."

    // ---- sessions --------------------------------------------------------------------------------------
    OldLineObeyed "old-line-obeyed"
        "A session's older connection is still obeyed after a newer one has taken it over: G11."
    OldLineNotTold "old-line-not-told"
        "A session's older connection does not hear that a newer one has taken it over: G11."
    TokenUnchecked "token-unchecked"
        "A session is resumed although the token's secret was not checked: G11."
    DamagedTokenPanics "damaged-token-panics"
        "A resume token of the wrong length ends the node: G9."
    PlayerStays "player-stays"
        "A player whose connection has closed never leaves the world: G12."
    NoGrace "no-grace"
        "A player whose connection is lost leaves the world at once, and others see it leave: G8."
    UnboundedCommands "unbounded-commands"
        "A session may have any number of unanswered commands: G12."
    RetryAtOnce "retry-at-once"
        "What failed is tried again without a wait: G12."
    UnboundedArriving "unbounded-arriving"
        "Any number of messages may wait for a player that arrives by a handoff: G12."
    UnboundedWaiting "unbounded-waiting"
        "Any amount of work may wait at an entity: G12."

    // ---- pictures --------------------------------------------------------------------------------------
    KeyframeLost "keyframe-lost"
        "A client that was too slow does not get the keyframes it is owed: G8."
    KeyframeIgnored "keyframe-ignored"
        "A publisher ignores a node that asks for a keyframe: G8."
    SentNotCompared "sent-not-compared"
        "A node does not compare the frames it received with what publishers say they sent last: G8."
    BundleGapIgnored "bundle-gap-ignored"
        "A node does not notice that a bundle of frames was lost, and with it the last motion: G8."
    RosterGapUnnoticed "roster-gap-unnoticed"
        "A node does not notice that a roster part was lost, and passes on what comes after it: G8."
    StaleFrame "stale-frame"
        "Of several entries of an entity a client shows the one that came last, not the highest (term, tick): G8."
    GhostStays "ghost-stays"
        "Subscribers do not hear that an entity has left a chunk: G8."
    SightLeaked "sight-leaked"
        "The chunks of a session stay subscribed when it ends: G12."
    WatchNotRenewed "watch-not-renewed"
        "An edge does not register again, at the new homes, what its clients watch: G8."
    SubscriptionKept "subscription-kept"
        "A home does not hear that a node has unsubscribed from a chunk: G12."
}

impl Planted {
    /// Whether it shows only if rules panic or take their node down.
    pub const fn needs_faulty_rules(self) -> bool {
        matches!(self, Self::PanicNotReloaded | Self::SuspendedDecides | Self::PoisonDecidedAgain)
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|planted| planted.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_mistakes_own() {
        for planted in Planted::ALL {
            assert_eq!(Planted::parse(planted.name()), Some(*planted));
            let guarantee = planted.about().rsplit_once(": G").and_then(|(_, g)| g.strip_suffix('.'));
            let number = guarantee.and_then(|g| g.parse().ok());
            assert!(number.is_some_and(|n: u8| (1..=12).contains(&n)), "{}", planted.about());
        }
        assert_eq!(Planted::parse("none"), None);
    }
}
