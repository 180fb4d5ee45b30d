//! A board that players write on from anywhere: the test game's kind that lives at its home and has no place. Once it has
//! members, only they may watch it.

use gundo_kernel::game::{Actor, Answered, Asked, Context, Done, Entity, State, Stored};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::Message;

use super::game::{Player, Said};

pub const BOARD: Kind = Kind(5);

/// What a player wants of a board. With `tells` and no `board` the player itself sends the messages.
#[derive(Clone, PartialEq, Message)]
pub struct BoardWish {
    #[prost(uint64, tag = "1")]
    pub board: u64,
    /// How much to write on it.
    #[prost(uint32, tag = "2")]
    pub posts: u32,
    /// This player becomes a member, or stops being one.
    #[prost(uint64, tag = "3")]
    pub member: u64,
    /// Send a message to these players.
    #[prost(uint64, repeated, tag = "4")]
    pub tells: Vec<u64>,
    #[prost(string, tag = "5")]
    pub text: String,
    /// How many letters to add to the message.
    #[prost(uint32, tag = "6")]
    pub letters: u32,
}

impl BoardWish {
    /// A decision that only sends the messages.
    pub fn tell<E: State>(&self) -> Done<E> {
        let said = Said { text: self.text.clone() + &"x".repeat(self.letters as usize) };
        self.tells.iter().fold(Done::new(), |done, id| done.tell::<Player>(*id, &said))
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct BoardState {
    #[prost(uint32, tag = "1")]
    pub posts: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub members: Vec<u64>,
}

/// What others see: how much is written on it.
#[derive(Clone, PartialEq, Message)]
pub struct Posts {
    #[prost(uint32, tag = "1")]
    pub n: u32,
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 5, name = "board", durable = BoardState, event = BoardWish)]
#[state(public = Posts, ask = BoardWish, asking_creates)]
pub struct Board(pub BoardState);

impl Stored for Board {
    fn load(_: u64, (): &(), state: BoardState) -> Self {
        Self(state)
    }

    fn save(&self) -> BoardState {
        self.0.clone()
    }
}

impl Asked for Board {
    fn answer(&self, wish: BoardWish, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((wish.tell().event(&wish), ()))
    }
}

impl Entity for Board {
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

    fn public(&self, _: WorldTime) -> Option<Posts> {
        (self.0.posts > 0).then_some(Posts { n: self.0.posts })
    }

    fn may_watch(&self, who: EntityId) -> bool {
        self.0.members.is_empty() || self.0.members.contains(&who.id)
    }
}

pub fn board(id: u64) -> EntityId {
    EntityId::new(BOARD, id)
}
