//! Estates: land that belongs to somebody. Up to [`ESTATE_CHUNKS_MAX`] chunks side by side, with rights for others, sold in a trade, and
//! free again when nobody attends it.
//!
//! **Who knows what.** Three kinds of entities share an estate, and each rule asks the one that knows:
//!
//! * the **estate** (here, an entity without a place) knows its chunks, its rights, and when it was last attended;
//! * the **owner** has the *deed*: the estate's id in the player's own state (`estate/owner.rs`). Who has the deed owns the estate;
//! * the **land** of each chunk has the *terms*: the estate's id, and its rights as of a version (`estate/ground.rs`).
//!
//! **How land checks a right: by key, in memory, and it asks nobody.** Who gathers, builds or takes down names in its ask to the land the
//! deeds it has, its guild, and which owners of land here are its friends. All that is the asking player's own state, which does not
//! change until its transaction has landed; clients cannot send asks. The land compares that with its terms.
//!
//! **Why a sale costs the same whatever the size.** The land does not know who owns the estate, it knows the estate. So a sale changes
//! two players and the estate, and no chunk. For that nobody else may have a right: an estate is offered only when its rights are the
//! owner's alone (`estate_open`), and all its land has heard so (`estate_settling`). From then on the deed alone counts, and the deed
//! changes hands in the same append.
//!
//! **What "at once" means.**
//!
//! | change | from when on it counts |
//! | --- | --- |
//! | a deed is sold, or lost | at once: the next ask names it, or does not |
//! | a friendship ends, somebody leaves the guild | at once, for the same reason: what came first has happened, what comes later is refused |
//! | the owner changes the rights | on each chunk when its land hears of it: in the next moments, [`STEP_CHUNKS_MAX`] chunks at a time. `settling` says that some have not |
//! | the owner leaves its guild | not at all: rights name a guild, not "my guild" |
//!
//! **Steps.** A transaction asks 16 entities. Claiming and releasing are transactions of player, estate and at most
//! [`CLAIM_CHUNKS_MAX`] chunks. New rights, and land that becomes free, go out in steps: a timer for now, the estate and up to
//! [`STEP_CHUNKS_MAX`] chunks in each. So estate and land agree after each append, whatever crashes: a chunk is in the list of the
//! estate that it belongs to, with the version that its land has.
//!
//! **Lapsing.** Land tells its estate that somebody with a right of its own (deed, friend, guild) has done something, once a day at most
//! for each chunk. Claiming, rights, a sale and the command `attend` count too. After [`ESTATE_LIFE_MS`] without any of it the estate
//! is free; [`ESTATE_WARNING_MS`] before, and never less, its owner gets a letter. What is built stays, and is still its builders'. An
//! offer in a trade keeps nothing from lapsing: the exchange is refused then (`no_deed`). Nothing lapses while its owner is suspended.

mod ground;
mod owner;
mod sale;

use gundo::{
    Actor, Answered, Ask, Asked, ChunkId, Context, Decision, Done, Entity, EntityId, Receives, Refusal,
    State, Stored, Timed, WorldTime,
};

use crate::island::Island;
use crate::land::Land;
use crate::mailbox::Mailbox;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskClaim, AskLapse, AskSell, ChunkRef, EstateAnswer, EstateAttended, EstateClaimed, EstateDue,
    EstateLapsed, EstateNote, EstatePublic, EstateReleased, EstateSold, EstateState, EstateTermsSet,
    EstateTold, EstateWarned, FreeChunk, LandReply, Letter, Level, MailboxAnswer, News, Person, PlayerAnswer,
    PlayerTold, Plot, Rights, Terms, estate_ask::Ask as Wish, estate_event::Event, land_command, mailbox_ask,
    player_ask,
};

pub(crate) use ground::{Act, may_demolish};
pub use ground::{COMMONS_MM, DOOR_MM, WAY_MM};
pub(crate) use owner::price;
pub(crate) use sale::deeds_spent;

/// Chunks of one claim, and of one release: with player and estate they are 14 of the 16 entities of a transaction.
pub const CLAIM_CHUNKS_MAX: usize = 12;
/// Chunks of one estate.
pub const ESTATE_CHUNKS_MAX: usize = 36;
/// Estates of one player.
pub const DEEDS_MAX: usize = 3;
/// Chunks that hear of new terms, or become free, in one step.
const STEP_CHUNKS_MAX: usize = 12;
/// An estate that nobody attends for so long is free again, ms of world time: 30 days.
pub const ESTATE_LIFE_MS: u64 = 30 * DAY_MS;
/// Its owner gets a letter so long before, ms: 7 days.
pub const ESTATE_WARNING_MS: u64 = 7 * DAY_MS;
/// How long land is silent after it has told its estate that somebody attends it, ms.
const ATTENDED_EVERY_MS: u64 = DAY_MS;
/// After so long it tries again what could not be, ms: a step; to lapse.
const AGAIN_MS: (u64, u64) = (60_000, 3_600_000);
const DAY_MS: u64 = 24 * 3_600_000;

/// The timers of an estate.
const STEP: EstateDue = EstateDue { work: true };
const LOOK: EstateDue = EstateDue { work: false };

/// What simulated worlds have instead: so short that much of it happens.
impl Island {
    /// How long an estate stays that nobody attends, ms of world time.
    pub fn estate_life_ms(&self) -> u64 {
        if self.gifts_reach_all() { 12_000 } else { ESTATE_LIFE_MS }
    }

    /// How long before its owner gets a letter, ms.
    pub fn estate_warning_ms(&self) -> u64 {
        if self.gifts_reach_all() { 4_000 } else { ESTATE_WARNING_MS }
    }

    fn attended_every_ms(&self) -> u64 {
        if self.gifts_reach_all() { 2_000 } else { ATTENDED_EVERY_MS }
    }

    fn again_ms(&self, step: bool) -> u64 {
        if self.gifts_reach_all() {
            1_000
        } else if step {
            AGAIN_MS.0
        } else {
            AGAIN_MS.1
        }
    }
}

/// An estate. Its id is random; its land and its owner's deed name it.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 70, name = "estate", world = Island, durable = EstateState, event = Event, public = EstatePublic)]
#[state(ask = Wish, answer = EstateAnswer, asking_creates, timer = EstateDue, message = EstateNote)]
pub struct Estate {
    /// `None`: nobody owns it, and what it still has is being freed.
    owner: Option<Person>,
    plots: Vec<Plot>,
    rights: Rights,
    /// Of the terms.
    version: u32,
    attended_at: u64,
    /// 0: the owner was not warned since it was last attended.
    warned_at: u64,
}

impl Estate {
    /// The owner, if it is who asks.
    fn owned_by(&self, by: &Actor) -> Result<&Person, No> {
        let owner = self.owner.as_ref().filter(|owner| by.id == EntityId::new(Player::KIND, owner.id));
        owner.ok_or(No::NoDeed)
    }

    fn has(&self, chunk: u64) -> bool {
        self.plots.iter().any(|plot| plot.chunk == chunk)
    }

    fn terms(&self, id: EntityId) -> Terms {
        Terms {
            estate: id.id,
            owner: self.owner.clone(),
            rights: Some(self.rights.clone()),
            version: self.version,
        }
    }

    fn is_settled(&self) -> bool {
        self.plots.iter().all(|plot| plot.told == self.version)
    }

    /// When it is free if nobody attends it: the owner has always had the letter for the whole time before.
    fn lapses_at(&self, world: &Island) -> WorldTime {
        let warned = if self.warned_at == 0 { 0 } else { self.warned_at + world.estate_warning_ms() };
        WorldTime((self.attended_at + world.estate_life_ms()).max(warned))
    }

    // ---- what its owner asks ----------------------------------------------------------------------------------------

    /// An attempt that failed may have left a fence in the stream of this id. So its plots say whether it exists (`asking_creates`).
    fn claim(&self, ask: AskClaim, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let AskClaim { owner, chunks, founds } = ask;
        let mut terms = self.terms(cx.id);
        if !founds {
            self.owned_by(by)?;
        } else if self.owner.is_some() || !self.plots.is_empty() {
            return Err(No::Unclear.into());
        } else {
            terms.owner = owner;
            terms.version = self.version + 1;
        }
        if self.plots.len() + chunks.len() > ESTATE_CHUNKS_MAX {
            return Err(No::EstateFull.into());
        }
        if chunks.iter().any(|chunk| self.has(*chunk)) {
            return Err(No::Claimed.into());
        }
        let all: Vec<u64> = self.plots.iter().map(|plot| plot.chunk).chain(chunks.iter().copied()).collect();
        if !are_connected(&all) {
            return Err(No::NotConnected.into());
        }
        let claimed = EstateClaimed { owner: terms.owner.clone(), chunks, at: cx.now.0 };
        let done = Done::new().event(&Event::Claimed(claimed));
        let look = cx.now + (cx.world.estate_life_ms() - cx.world.estate_warning_ms());
        let done = if founds { done.timer(&LOOK, look) } else { done };
        Ok((done, EstateAnswer { terms: Some(terms), ..EstateAnswer::default() }))
    }

    fn release(&self, chunks: Vec<u64>, by: &Actor) -> Answered<Self> {
        let owner = self.owned_by(by)?.id;
        if !chunks.iter().all(|chunk| self.has(*chunk)) {
            return Err(No::NotInEstate.into());
        }
        let stay = |plot: &&Plot| !chunks.contains(&plot.chunk);
        let rest: Vec<u64> = self.plots.iter().filter(stay).map(|plot| plot.chunk).collect();
        if !are_connected(&rest) {
            return Err(No::NotConnected.into());
        }
        let done = Done::new().event(&Event::Released(EstateReleased { chunks }));
        let gone = rest.is_empty();
        let lapsed = Event::Lapsed(EstateLapsed { owner, abandoned: true });
        let done = if gone { done.event(&lapsed).no_timer(&LOOK).no_timer(&STEP) } else { done };
        Ok((done, EstateAnswer { gone, ..EstateAnswer::default() }))
    }

    fn set_rights(&self, rights: Option<Rights>, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let rights = rights.ok_or(No::Unclear)?;
        self.owned_by(by)?;
        let version = self.version.checked_add(1).ok_or(No::Unclear)?;
        let set = EstateTermsSet { rights: Some(rights), version, at: cx.now.0 };
        happens(Done::new().event(&Event::TermsSet(set)).timer(&STEP, cx.now))
    }

    fn attend(&self, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        self.owned_by(by)?;
        happens(Done::new().event(&Event::Attended(EstateAttended { at: cx.now.0 })))
    }

    fn abandon(&self, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let owner = self.owned_by(by)?.id;
        let lapsed = Event::Lapsed(EstateLapsed { owner, abandoned: true });
        happens(Done::new().event(&lapsed).no_timer(&LOOK).timer(&STEP, cx.now))
    }

    /// Whether the deed alone counts on all its land.
    fn is_closed(&self) -> Result<(), No> {
        let Rights { gather, build, demolish, .. } = self.rights;
        if [gather, build, demolish] != [i32::from(Level::Owner); 3] {
            return Err(No::EstateOpen);
        }
        if self.is_settled() { Ok(()) } else { Err(No::EstateSettling) }
    }

    fn sell(&self, ask: AskSell, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let owner = self.owner.as_ref().map(|owner| owner.id).ok_or(No::NoDeed)?;
        let [one, other] = <[Person; 2]>::try_from(ask.parties).map_err(|_| No::Unclear)?;
        if by.id.kind != Player::KIND || ![one.id, other.id].contains(&by.id.id) {
            return Err(No::Unclear.into());
        }
        let (from, to) = if one.id == owner { (one, other) } else { (other, one) };
        if from.id != owner || to.id == owner {
            return Err(No::NoDeed.into());
        }
        self.is_closed()?;
        let version = self.version.checked_add(1).ok_or(No::Unclear)?;
        let sold = EstateSold { to: Some(to), from: owner, version, at: cx.now.0 };
        happens(Done::new().event(&Event::Sold(sold)).timer(&STEP, cx.now))
    }

    // ---- what its timers do -----------------------------------------------------------------------------------------

    /// Some more of its land hears of the terms, or becomes free.
    fn step(&self, cx: &Context<'_, Self>) -> Decision<Self> {
        let is_free = self.owner.is_none();
        let due = self.plots.iter().filter(|plot| is_free || plot.told != self.version);
        let chunks: Vec<u64> = due.map(|plot| plot.chunk).take(STEP_CHUNKS_MAX).collect();
        if chunks.is_empty() {
            return Done::new().into();
        }
        let (version, estate) = (self.version, cx.id.id);
        let ask = if is_free {
            land_command::Command::Free(FreeChunk { estate })
        } else {
            land_command::Command::Tell(self.terms(cx.id))
        };
        let lands = Ask::each::<Land>(chunks.iter().map(|chunk| ChunkId::from_u64(*chunk)), &ask);
        lands.then(move |_: &Self, _: Vec<LandReply>, cx| {
            let chunks = chunks.clone();
            let event = if is_free {
                Event::Released(EstateReleased { chunks })
            } else {
                Event::Told(EstateTold { chunks, version })
            };
            // One step too many does nothing.
            Ok(Done::new().event(&event).timer(&STEP, cx.now))
        })
    }

    /// Whether anybody attends it: warns the owner, or is free.
    fn look(&self, cx: &Context<'_, Self>) -> Decision<Self> {
        let Some(owner) = &self.owner else { return Done::new().into() };
        let (life_ms, warning_ms) = (cx.world.estate_life_ms(), cx.world.estate_warning_ms());
        let warns_at = WorldTime(self.attended_at + life_ms - warning_ms);
        if cx.now < warns_at {
            return Done::new().timer(&LOOK, warns_at).into();
        }
        if self.warned_at == 0 {
            return self.warn(owner, cx);
        }
        let lapses_at = self.lapses_at(cx.world);
        if cx.now < lapses_at {
            return Done::new().timer(&LOOK, lapses_at).into();
        }
        let owner = owner.id;
        let lapses = Ask::of::<Player>(owner, &player_ask::Ask::EstateLapse(AskLapse {}));
        lapses.then(move |_: &Self, _: PlayerAnswer, cx| {
            let lapsed = Event::Lapsed(EstateLapsed { owner, abandoned: false });
            Ok(Done::new().event(&lapsed).timer(&STEP, cx.now))
        })
    }

    /// A full mailbox takes no letter: then the news alone says so, if the owner is there.
    fn warn(&self, owner: &Person, cx: &Context<'_, Self>) -> Decision<Self> {
        let days = cx.world.estate_warning_ms() / DAY_MS;
        let letter = Letter {
            from: Some(Person { id: 0, name: "The island".to_owned() }),
            to: Some(owner.clone()),
            text: format!(
                "Nobody has attended your estate for long. In {days} days it is free for everybody."
            ),
            at: cx.now.0,
            until: cx.now.0 + cx.world.letter_life_ms(),
            ..Letter::default()
        };
        let owner = owner.id;
        let deliver = Ask::of::<Mailbox>(owner, &mailbox_ask::Ask::Deliver(letter));
        deliver.then(move |me: &Self, _: MailboxAnswer, cx| {
            let warned = Self { warned_at: cx.now.0, ..me.clone() };
            let told = PlayerTold { news: News::EstateIdle.into(), ..PlayerTold::default() };
            let event = Event::Warned(EstateWarned { at: cx.now.0 });
            let done = Done::new().event(&event).tell::<Player>(owner, &told);
            Ok(done.timer(&LOOK, warned.lapses_at(cx.world)))
        })
    }

    fn on_attended(&mut self, at: u64) {
        self.attended_at = self.attended_at.max(at);
        self.warned_at = 0;
    }
}

/// This, and an answer that says no more.
fn happens(done: Done<Estate>) -> Answered<Estate> {
    Ok((done, EstateAnswer::default()))
}

/// Whether one can go from each of these chunks to each other one without leaving them. True of none.
fn are_connected(chunks: &[u64]) -> bool {
    let all: Vec<ChunkId> = chunks.iter().map(|chunk| ChunkId::from_u64(*chunk)).collect();
    let mut reached: Vec<ChunkId> = all.first().copied().into_iter().collect();
    let mut next = 0;
    while let Some(from) = reached.get(next).copied() {
        next += 1;
        let apart =
            |to: ChunkId| i32::from(from.x).abs_diff(to.x.into()) + i32::from(from.y).abs_diff(to.y.into());
        let beside = all.iter().filter(|to| from.island == to.island && apart(**to) == 1);
        let new: Vec<ChunkId> = beside.filter(|to| !reached.contains(to)).copied().collect();
        reached.extend(new);
    }
    reached.len() == all.len()
}

impl Stored for Estate {
    fn load(_id: u64, _world: &Island, state: EstateState) -> Self {
        let EstateState { owner, plots, rights, version, attended_at, warned_at } = state;
        Self { owner, plots, rights: rights.unwrap_or_default(), version, attended_at, warned_at }
    }

    fn save(&self) -> EstateState {
        let Self { owner, plots, rights, version, attended_at, warned_at } = self.clone();
        EstateState { owner, plots, rights: Some(rights), version, attended_at, warned_at }
    }
}

impl Asked for Estate {
    fn answer(&self, wish: Wish, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        match wish {
            Wish::Claim(ask) => self.claim(ask, by, cx),
            Wish::Release(ask) => self.release(ask.chunks, by),
            Wish::Rights(ask) => self.set_rights(ask.rights, by, cx),
            Wish::Attend(_) => self.attend(by, cx),
            Wish::Abandon(_) => self.abandon(by, cx),
            Wish::Offerable(_) => {
                self.owned_by(by)?;
                self.is_closed()?;
                happens(Done::new())
            }
            Wish::Sell(ask) => self.sell(ask, by, cx),
        }
    }
}

impl Timed for Estate {
    fn on_timer(
        &self,
        due: EstateDue,
        _: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        Ok(if due == STEP { self.step(cx) } else { self.look(cx) })
    }

    /// The owner is suspended, or some land is.
    fn on_timer_refused(
        &self,
        due: EstateDue,
        _: WorldTime,
        _: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        Done::new().timer(&due, cx.now + cx.world.again_ms(due == STEP))
    }
}

/// Its land says that somebody has done something there.
impl Receives for Estate {
    fn take(
        &self,
        note: EstateNote,
        from: EntityId,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let at = note.at.min(cx.now.0);
        let counts = from.kind == Land::KIND && self.has(from.id) && self.owner.is_some();
        if !counts || at <= self.attended_at {
            return Ok(Done::new().into());
        }
        Ok(Done::new().event(&Event::Attended(EstateAttended { at })).into())
    }
}

impl Entity for Estate {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Claimed(fact) => {
                if self.owner.is_none() {
                    self.owner.clone_from(&fact.owner);
                    self.rights = Rights::default();
                    self.version += 1;
                }
                let told = self.version;
                self.plots.extend(fact.chunks.iter().map(|chunk| Plot { chunk: *chunk, told }));
                self.on_attended(fact.at);
            }
            Event::Released(fact) => self.plots.retain(|plot| !fact.chunks.contains(&plot.chunk)),
            Event::TermsSet(fact) => {
                self.rights = fact.rights.clone().unwrap_or_default();
                self.version = fact.version;
                self.on_attended(fact.at);
            }
            Event::Told(fact) => {
                for plot in self.plots.iter_mut().filter(|plot| fact.chunks.contains(&plot.chunk)) {
                    plot.told = fact.version;
                }
            }
            Event::Sold(fact) => {
                self.owner.clone_from(&fact.to);
                self.version = fact.version;
                self.on_attended(fact.at);
            }
            Event::Attended(fact) => self.on_attended(fact.at),
            Event::Warned(fact) => self.warned_at = fact.at,
            Event::Lapsed(_) => self.owner = None,
        }
    }

    fn public(&self, _at: WorldTime) -> Option<EstatePublic> {
        let reference = |plot: &Plot| {
            let chunk = ChunkId::from_u64(plot.chunk);
            ChunkRef { cx: chunk.x.into(), cy: chunk.y.into() }
        };
        (!self.plots.is_empty()).then(|| EstatePublic {
            owner: self.owner.clone(),
            chunks: self.plots.iter().map(reference).collect(),
            rights: Some(self.rights.clone()),
            settling: !self.is_settled(),
            attended_at: self.attended_at,
            warned_at: self.warned_at,
        })
    }
}
