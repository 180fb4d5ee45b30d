//! A board that players write on, wherever they are: the test game's kind that lives at its home and has no place. Once it has
//! members, only they may watch it.

use gundo_kernel::game::{Context, Decision, Entity, Refusal};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::{DecodeError, Message};

use super::game::{PLAYER, Said};

pub const BOARD: Kind = Kind(3);

/// What a player wants of a board. With `tells` and no `board` the player tells by itself.
#[derive(Clone, PartialEq, Message)]
pub struct BoardWish {
    #[prost(uint64, tag = "1")]
    pub board: u64,
    /// Write so much on it.
    #[prost(uint32, tag = "2")]
    pub posts: u32,
    /// This player becomes a member, or is none any more.
    #[prost(uint64, tag = "3")]
    pub member: u64,
    /// Tell these players.
    #[prost(uint64, repeated, tag = "4")]
    pub tells: Vec<u64>,
    #[prost(string, tag = "5")]
    pub text: String,
    /// So many more letters are told.
    #[prost(uint32, tag = "6")]
    pub letters: u32,
}

impl BoardWish {
    /// A decision that tells as is wished, and does nothing else.
    pub fn tell<E: Entity>(&self) -> Decision<E> {
        let said = Said { text: self.text.clone() + &"x".repeat(self.letters as usize) };
        let player = |id: &u64| EntityId::new(PLAYER, *id);
        self.tells.iter().fold(Decision::new(), |decision, id| decision.tell(player(id), &said))
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct BoardState {
    #[prost(uint32, tag = "1")]
    pub posts: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub members: Vec<u64>,
}

pub struct Board(pub BoardState);

impl Entity for Board {
    const KIND: Kind = BOARD;
    const NAME: &'static str = "board";
    type World = ();
    type Command = BoardWish;
    type Event = BoardWish;
    type Live = ();

    fn new(_: u64, (): &()) -> Self {
        Self(BoardState::default())
    }

    fn restore(_: u64, (): &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        BoardState::decode(snapshot).map(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn decide(&self, wish: BoardWish, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        Ok(wish.tell().event(&wish))
    }

    fn apply(&mut self, wish: &BoardWish) {
        self.0.posts += wish.posts;
        if wish.member != 0 {
            let there = self.0.members.iter().position(|member| *member == wish.member);
            match there {
                Some(at) => drop(self.0.members.remove(at)),
                None => self.0.members.push(wish.member),
            }
        }
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        (self.0.posts > 0).then(|| vec![self.0.posts as u8])
    }

    fn may_watch(&self, who: EntityId) -> bool {
        self.0.members.is_empty() || self.0.members.contains(&who.id)
    }
}

pub fn board(id: u64) -> EntityId {
    EntityId::new(BOARD, id)
}
