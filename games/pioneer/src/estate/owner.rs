//! The owner's side of estates: claiming, releasing, rights, abandoning. And the key that every player shows to land.

use gundo::{Answered, Ask, Body, ChunkId, Context, Decision, Done, Refusal};

use super::{CLAIM_CHUNKS_MAX, DEEDS_MAX, Estate};
use crate::catalogue::stacks;
use crate::geometry::ISLAND;
use crate::island::Island;
use crate::land::Land;
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskAbandon, AskAttend, AskClaim, AskRelease, AskRights, ChunkRef, ClaimChunk, ClaimLand, DeedLost,
    EstateAnswer, FreeChunk, Item, Key, LandClaimed, LandReply, LandTerms, Level, News, Person, PlayerAnswer,
    PlayerReply, PlayerTold, ReleaseLand, Rights, SetRights, Stack, estate_ask::Ask as Wish, land_command,
    player_command::Command, player_event::Event,
};

/// What each chunk of an estate costs.
pub(crate) fn price(world: &Island) -> Vec<Stack> {
    // In simulated worlds hardly anybody comes to have planks.
    if world.gifts_reach_all() { stacks(&[(Item::Wood, 1)], 1) } else { stacks(&[(Item::Plank, 2)], 1) }
}

impl Player {
    /// A command about estates.
    pub(crate) fn of_estates(
        &self,
        command: Command,
        body: &Body,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let decided = match command {
            Command::ClaimLand(claim) => self.claim_land(&claim, body, cx),
            Command::ReleaseLand(release) => self.release_land(&release),
            Command::SetRights(set) => self.set_rights(set),
            Command::AttendEstate(attend) => {
                self.deed(attend.estate).map(|()| asks(attend.estate, &Wish::Attend(AskAttend {})))
            }
            Command::AbandonEstate(abandon) => self.abandon_estate(abandon.estate),
            _ => Err(No::Unclear),
        };
        Ok(decided?)
    }

    /// The player has this deed, and does not offer it.
    fn deed(&self, estate: u64) -> Result<(), No> {
        if !self.deeds.contains(&estate) {
            return Err(No::NoDeed);
        }
        if self.offers_deed(estate) { Err(No::DeedOffered) } else { Ok(()) }
    }

    /// What the player can show to the land of these chunks. Whom the land belongs to it has from a picture, which may be a tick old:
    /// then the land finds no friend.
    pub(crate) fn key(&self, chunks: &[ChunkId], cx: &Context<'_, Self>) -> Option<Key> {
        let (deeds, guild) = (self.deeds.clone(), self.belonging.guild.as_ref().map_or(0, |guild| guild.id));
        let mut key = Key { deeds, guild, friends: Vec::new() };
        if !self.circle.friends.is_empty() {
            let lands = chunks.iter().filter_map(|chunk| cx.look_as::<Land, LandTerms>(*chunk));
            let owners = lands.filter_map(|land| Some(land.terms?.owner?.id));
            key.friends = owners.filter(|owner| self.circle.friends.contains_key(owner)).collect();
        }
        Some(key).filter(|key| *key != Key::default())
    }

    // ---- more and less land --------------------------------------------------------------------------------------

    fn claim_land(
        &self,
        claim: &ClaimLand,
        body: &Body,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, No> {
        let chunks = chunks_of(&claim.chunks)?;
        let founds = claim.estate == 0;
        if !founds {
            self.deed(claim.estate)?;
        } else if self.deeds.len() >= DEEDS_MAX {
            return Err(No::DeedsFull);
        }
        // All are side by side, so none is far away: a command must not load land that is.
        if !chunks.contains(&body.chunk()) {
            return Err(No::TooFar);
        }
        let ids: Vec<u64> = chunks.iter().map(|chunk| chunk.to_u64()).collect();
        if !super::are_connected(&ids) {
            return Err(No::NotConnected);
        }
        if chunks.iter().any(|chunk| cx.world.is_commons(*chunk)) {
            return Err(No::Commons);
        }
        if !chunks.iter().all(|chunk| cx.world.has_footing(*chunk)) {
            return Err(No::NoFooting);
        }
        let count = chunks.len() as u32;
        let each = |stack: Stack| Stack { count: stack.count * count, ..stack };
        let spent: Vec<Stack> = price(cx.world).into_iter().map(each).collect();
        if !self.items.can_spend(&spent) {
            return Err(No::MissingItems);
        }
        let estate = if founds { cx.random() } else { claim.estate };
        let owner = Some(Person { id: cx.id.id, name: self.name.clone() });
        let ask = Wish::Claim(AskClaim { owner, chunks: ids, founds });
        Ok(Ask::of::<Estate>(estate, &ask).then(move |_: &Self, answer: EstateAnswer, _| {
            let claim = land_command::Command::Claim(ClaimChunk { terms: answer.terms });
            let (lands, spent) = (Ask::each::<Land>(chunks.iter().copied(), &claim), spent.clone());
            Ok(lands.then(move |me: &Self, _: Vec<LandReply>, _| {
                if !me.items.can_spend(&spent) {
                    return Err(No::MissingItems.into());
                }
                let claimed = LandClaimed { estate, founds, spent: spent.clone() };
                let reply = PlayerReply { spent: spent.clone(), entity: estate, ..PlayerReply::default() };
                Ok(Done::new().event(&Event::LandClaimed(claimed)).reply(&reply))
            }))
        }))
    }

    fn release_land(&self, release: &ReleaseLand) -> Result<Decision<Self>, No> {
        let (estate, chunks) = (release.estate, chunks_of(&release.chunks)?);
        self.deed(estate)?;
        let ids = chunks.iter().map(|chunk| chunk.to_u64()).collect();
        let ask = Wish::Release(AskRelease { chunks: ids });
        Ok(Ask::of::<Estate>(estate, &ask).then(move |_: &Self, answer: EstateAnswer, _| {
            let free = land_command::Command::Free(FreeChunk { estate });
            let lands = Ask::each::<Land>(chunks.iter().copied(), &free);
            Ok(lands.then(move |_: &Self, _: Vec<LandReply>, _| {
                Ok(if answer.gone { loses(estate) } else { Done::new() })
            }))
        }))
    }

    fn abandon_estate(&self, estate: u64) -> Result<Decision<Self>, No> {
        self.deed(estate)?;
        let ask = Ask::of::<Estate>(estate, &Wish::Abandon(AskAbandon {}));
        Ok(ask.then(move |_: &Self, _: EstateAnswer, _| Ok(loses(estate))))
    }

    /// Nobody has attended the estate. If it is offered in a trade, no exchange can follow: the estate refuses (`no_deed`).
    pub(crate) fn answer_lapse(&self, estate: u64, cx: &Context<'_, Self>) -> Answered<Self> {
        let told = PlayerTold { news: News::EstateLapsed.into(), ..PlayerTold::default() };
        let done = if cx.world.planted(Mistake::LapsedStillHeld) { Done::new() } else { loses(estate) };
        Ok((done.tell::<Self>(cx.id, &told), PlayerAnswer::default()))
    }

    // ---- rights --------------------------------------------------------------------------------------------------

    fn set_rights(&self, set: SetRights) -> Result<Decision<Self>, No> {
        let SetRights { estate, rights } = set;
        self.deed(estate)?;
        let Rights { gather, build, demolish, guild, .. } = rights.ok_or(No::Unclear)?;
        if [gather, build, demolish].iter().any(|level| Level::try_from(*level).is_err()) {
            return Err(No::Unclear);
        }
        let mine = self.belonging.guild.as_ref().filter(|mine| mine.id == guild);
        if guild != 0 && mine.is_none() {
            return Err(No::NoGuild);
        }
        let guild_name = mine.map(|mine| mine.name.clone()).unwrap_or_default();
        let rights = Some(Rights { gather, build, demolish, guild, guild_name });
        Ok(asks(estate, &Wish::Rights(AskRights { rights })))
    }

    /// An event about estates.
    pub(crate) fn on_estate(&mut self, event: &Event) {
        match event {
            Event::LandClaimed(fact) => {
                if fact.founds {
                    self.deeds.push(fact.estate);
                }
                self.exchange(&fact.spent, &[]);
            }
            Event::DeedLost(fact) => self.deeds.retain(|estate| *estate != fact.estate),
            _ => {}
        }
    }
}

/// The estate does it, and the player has nothing to do.
fn asks(estate: u64, wish: &Wish) -> Decision<Player> {
    Ask::of::<Estate>(estate, wish).then(|_: &Player, _: EstateAnswer, _| Ok(Done::new()))
}

fn loses(estate: u64) -> Done<Player> {
    Done::new().event(&Event::DeedLost(DeedLost { estate }))
}

/// The chunks that a client names: as many as one transaction can ask, each once.
fn chunks_of(chunks: &[ChunkRef]) -> Result<Vec<ChunkId>, No> {
    if chunks.len() > CLAIM_CHUNKS_MAX {
        return Err(No::ClaimLarge);
    }
    let number = |v: i32| i16::try_from(v).map_err(|_| No::Unclear);
    let chunk = |at: &ChunkRef| Ok(ChunkId { island: ISLAND, x: number(at.cx)?, y: number(at.cy)? });
    let chunks = chunks.iter().map(chunk).collect::<Result<Vec<_>, No>>()?;
    let twice = |(at, chunk): (usize, &ChunkId)| chunks[..at].contains(chunk);
    if chunks.is_empty() || chunks.iter().enumerate().any(twice) {
        return Err(No::Unclear);
    }
    Ok(chunks)
}
