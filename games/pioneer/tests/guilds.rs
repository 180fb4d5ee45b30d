//! Guilds: members and guild change together, roles allow what the table says, and the chest loses nothing.

mod support;

use gundo::{Entity, EntityId, Refusal, Stored};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AcceptGuild, Block, DeclineGuild, DissolveGuild, FoundGuild, GuildPublic, GuildRole, Invitation,
    InviteToGuild, Item, LeaveGuild, News, PlayerReply, PlayerTold, PutInChest, RemoveFromGuild,
    SetGuildRole, Stack, TakeFromChest,
};
use pioneer::{
    CHEST_SLOTS_MAX, DISSOLVED_MAX, Guild, INVITATIONS_MAX, INVITED_MAX, LOG_MAX, MEMBERS_MAX, NAME_KEPT_MS,
    Player, SLOTS_MAX,
};
use support::{Town, no, stack};

type Answer = Result<PlayerReply, Refusal>;

const PUBLIC_BYTES_MAX: usize = 16 * 1024;

/// Waits first, so that no pace says no.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, command)
}

/// The guild that the player is in; 0: none.
fn guild_of(town: &mut Town, who: EntityId) -> u64 {
    town.own(who).guild.map_or(0, |guild| guild.id)
}

fn role_of(town: &mut Town, who: EntityId) -> GuildRole {
    town.own(who).guild.map_or(GuildRole::None, |guild| guild.role())
}

fn found(town: &mut Town, who: EntityId, name: &str) -> Answer {
    wish(town, who, Command::FoundGuild(FoundGuild { name: name.to_owned() }))
}

fn invite(town: &mut Town, who: EntityId, whom: EntityId) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::InviteToGuild(InviteToGuild { guild, whom: whom.id }))
}

fn accept(town: &mut Town, who: EntityId, guild: u64) -> Answer {
    wish(town, who, Command::AcceptGuild(AcceptGuild { guild }))
}

fn decline(town: &mut Town, who: EntityId, guild: u64) -> Answer {
    wish(town, who, Command::DeclineGuild(DeclineGuild { guild }))
}

fn leave(town: &mut Town, who: EntityId) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::LeaveGuild(LeaveGuild { guild }))
}

fn remove(town: &mut Town, who: EntityId, whom: EntityId) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::RemoveFromGuild(RemoveFromGuild { guild, whom: whom.id }))
}

fn set_role(town: &mut Town, who: EntityId, whom: EntityId, role: GuildRole) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::SetGuildRole(SetGuildRole { guild, whom: whom.id, role: role.into() }))
}

fn dissolve(town: &mut Town, who: EntityId) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::DissolveGuild(DissolveGuild { guild }))
}

fn put(town: &mut Town, who: EntityId, stack: Stack) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::PutInChest(PutInChest { guild, stack: Some(stack) }))
}

fn take(town: &mut Town, who: EntityId, stack: Stack) -> Answer {
    let guild = guild_of(town, who);
    wish(town, who, Command::TakeFromChest(TakeFromChest { guild, stack: Some(stack) }))
}

fn wood(count: u32) -> Stack {
    stack(Item::Wood, count)
}

fn seen(town: &mut Town, guild: u64) -> GuildPublic {
    town.public::<Guild>(guild).expect("a guild with members")
}

/// Names and roles, as the guild has them; and each member has the same.
fn members(town: &mut Town, guild: u64) -> Vec<(String, GuildRole)> {
    let listed = seen(town, guild).members;
    for member in &listed {
        let who = EntityId::new(<Player as gundo::State>::KIND, member.who.as_ref().expect("somebody").id);
        assert_eq!((guild_of(town, who), role_of(town, who)), (guild, member.role()), "{member:?}");
    }
    listed.into_iter().map(|member| (member.who.clone().expect("somebody").name, member.role())).collect()
}

fn news(town: &mut Town, who: EntityId) -> Vec<(News, String, String)> {
    let heard: Vec<PlayerTold> = town.heard::<Player>(who);
    heard.into_iter().map(|told| (told.news(), told.name, told.guild)).collect()
}

fn settle(town: &mut Town, name: &str) -> EntityId {
    town.settle(name).expect("a good name")
}

/// A player with what a guild costs.
fn rich(town: &mut Town, name: &str) -> EntityId {
    let who = settle(town, name);
    town.give(who, Item::Plank, 4);
    who
}

/// Another one joins the guild of `leader`.
fn join(town: &mut Town, leader: EntityId, who: EntityId) {
    let guild = guild_of(town, leader);
    invite(town, leader, who).expect("the leader invites");
    accept(town, who, guild).expect("is invited");
}

/// Ada leads the Foxes, Bob is an officer, Cyd a member; Dan is none.
fn foxes() -> (Town, u64, [EntityId; 4]) {
    let mut town = Town::new();
    let ada = rich(&mut town, "Ada");
    let [bob, cyd, dan] = ["Bob", "Cyd", "Dan"].map(|name| settle(&mut town, name));
    found(&mut town, ada, "Foxes").expect("has planks");
    let guild = guild_of(&mut town, ada);
    join(&mut town, ada, bob);
    join(&mut town, ada, cyd);
    set_role(&mut town, ada, bob, GuildRole::Officer).expect("the leader gives roles");
    for who in [ada, bob, cyd, dan] {
        town.give(who, Item::Wood, 20);
        news(&mut town, who);
    }
    (town, guild, [ada, bob, cyd, dan])
}

#[test]
fn a_guild_costs_planks_and_has_a_name_of_its_own() {
    let mut town = Town::new();
    let ada = settle(&mut town, "Ada");
    town.give(ada, Item::Plank, 3);
    assert_eq!(no(found(&mut town, ada, "Foxes")), "missing_items");
    town.give(ada, Item::Plank, 2);
    for bad in ["", "x", "123", "Foxes of the very long name", "a\u{202e}b", "Fоxes"] {
        assert_eq!(no(found(&mut town, ada, bad)), "bad_name", "{bad:?}");
    }
    assert_eq!(town.count(ada, Item::Plank), 5, "what is refused costs nothing");
    let reply = found(&mut town, ada, "  Foxes ").expect("has planks");
    assert_eq!((reply.spent, town.count(ada, Item::Plank)), (vec![stack(Item::Plank, 4)], 1));
    let guild = guild_of(&mut town, ada);
    assert_eq!(members(&mut town, guild), [("Ada".to_owned(), GuildRole::Leader)]);
    assert_eq!(town.public::<Player>(ada).expect("is there").guild, "Foxes", "the tag for all to see");
    assert_eq!(no(found(&mut town, ada, "Wolves")), "in_guild");
    let bob = rich(&mut town, "Bob");
    for same in ["Foxes", "FOXES", "foxes", "F0xes"] {
        assert_eq!(no(found(&mut town, bob, same)), "name_taken", "{same:?}");
    }
    assert_eq!((town.count(bob, Item::Plank), guild_of(&mut town, bob)), (4, 0));
    // Players' names are other names.
    found(&mut town, bob, "Ada").expect("no guild has that name");
}

#[test]
fn they_invite_accept_decline_and_withdraw() {
    let mut town = Town::new();
    let ada = rich(&mut town, "Ada");
    let [bob, cyd] = ["Bob", "Cyd"].map(|name| settle(&mut town, name));
    assert_eq!(no(invite(&mut town, ada, bob)), "no_guild");
    found(&mut town, ada, "Foxes").expect("has planks");
    let guild = guild_of(&mut town, ada);
    assert_eq!(no(accept(&mut town, bob, guild)), "no_invitation", "nobody comes in uninvited");
    invite(&mut town, ada, bob).expect("the leader invites");
    assert_eq!(no(invite(&mut town, ada, bob)), "already_invited");
    assert_eq!(news(&mut town, bob), [(News::GuildInvited, "Ada".to_owned(), "Foxes".to_owned())]);
    let Invitation { guild: into, name, from } = town.own(bob).invitations.remove(0);
    assert_eq!((into, name.as_str(), from.expect("somebody").name.as_str()), (guild, "Foxes", "Ada"));
    assert_eq!(seen(&mut town, guild).invited.len(), 1);
    decline(&mut town, bob, guild).expect("is invited");
    assert_eq!(no(decline(&mut town, bob, guild)), "no_invitation");
    assert_eq!(no(accept(&mut town, bob, guild)), "no_invitation");
    assert_eq!((seen(&mut town, guild).invited, town.own(bob).invitations), (vec![], vec![]));
    // Withdrawn.
    invite(&mut town, ada, bob).expect("once more");
    remove(&mut town, ada, bob).expect("withdraws");
    assert_eq!((seen(&mut town, guild).invited, town.own(bob).invitations), (vec![], vec![]));
    assert_eq!(no(accept(&mut town, bob, guild)), "no_invitation");
    assert_eq!(no(remove(&mut town, ada, bob)), "not_member");
    // Accepted.
    invite(&mut town, ada, bob).expect("once more");
    news(&mut town, ada);
    accept(&mut town, bob, guild).expect("is invited");
    assert_eq!(news(&mut town, ada), [(News::GuildJoined, "Bob".to_owned(), "Foxes".to_owned())]);
    assert_eq!(members(&mut town, guild).len(), 2);
    assert_eq!((seen(&mut town, guild).invited, town.own(bob).invitations), (vec![], vec![]));
    assert_eq!(no(accept(&mut town, bob, guild)), "in_guild");
    assert_eq!(no(invite(&mut town, ada, bob)), "their_guild");
    assert_eq!(no(invite(&mut town, ada, ada)), "yourself");
    assert_eq!(no(invite(&mut town, ada, EntityId::new(ada.kind, 4_711))), "no_such_entity");
    assert_eq!(no(invite(&mut town, bob, cyd)), "no_right");
}

#[test]
fn a_block_does_not_tell_and_what_was_there_is_gone() {
    let mut town = Town::new();
    let ada = rich(&mut town, "Ada");
    let [bob, cyd] = ["Bob", "Cyd"].map(|name| settle(&mut town, name));
    found(&mut town, ada, "Foxes").expect("has planks");
    let guild = guild_of(&mut town, ada);
    wish(&mut town, bob, Command::Block(Block { whom: ada.id })).expect("blocks");
    invite(&mut town, ada, bob).expect("as to everybody");
    assert_eq!(no(invite(&mut town, ada, bob)), "already_invited");
    assert_eq!((town.own(bob).invitations, news(&mut town, bob)), (vec![], vec![]));
    assert_eq!(no(accept(&mut town, bob, guild)), "no_invitation");
    remove(&mut town, ada, bob).expect("withdraws it");
    // A block after the invitation.
    invite(&mut town, ada, cyd).expect("invites");
    wish(&mut town, cyd, Command::Block(Block { whom: ada.id })).expect("blocks");
    assert_eq!(town.own(cyd).invitations, []);
    assert_eq!(no(accept(&mut town, cyd, guild)), "no_invitation");
    wish(&mut town, ada, Command::Block(Block { whom: cyd.id })).expect("blocks");
    assert_eq!(no(invite(&mut town, ada, cyd)), "you_blocked");
}

#[test]
fn roles_allow_what_the_table_says() {
    // What leader, officer, member and stranger get: the code, or nothing if they may.
    type Try = fn(&mut Town, EntityId, [EntityId; 4]) -> Answer;
    let table: [(&str, Try, [&str; 4]); 8] = [
        ("put", |town, who, _| put(town, who, wood(1)), ["", "", "", "no_guild"]),
        ("take", |town, who, _| take(town, who, wood(1)), ["", "", "no_right", "no_guild"]),
        ("invite", |town, who, [.., eve]| invite(town, who, eve), ["", "", "no_right", "no_guild"]),
        ("withdraw", |town, who, [_, _, fay, _]| remove(town, who, fay), ["", "", "no_right", "no_guild"]),
        (
            "remove a member",
            |town, who, [_, gil, ..]| remove(town, who, gil),
            ["", "", "no_right", "no_guild"],
        ),
        (
            "remove an officer",
            |town, who, [hal, ..]| remove(town, who, hal),
            ["", "no_right", "no_right", "no_guild"],
        ),
        (
            "promote",
            |town, who, [_, gil, ..]| set_role(town, who, gil, GuildRole::Officer),
            ["", "no_right", "no_right", "no_guild"],
        ),
        (
            "dissolve",
            |town, who, _| dissolve(town, who),
            ["chest_not_empty", "no_right", "no_right", "no_guild"],
        ),
    ];
    for (what, attempt, codes) in table {
        for (role, code) in codes.into_iter().enumerate() {
            let (mut town, _, four) = foxes();
            let others = ["Hal", "Gil", "Fay", "Eve"].map(|name| settle(&mut town, name));
            let [hal, gil, fay, _] = others;
            join(&mut town, four[0], hal);
            join(&mut town, four[0], gil);
            set_role(&mut town, four[0], hal, GuildRole::Officer).expect("the leader gives roles");
            invite(&mut town, four[0], fay).expect("the leader invites");
            put(&mut town, four[0], wood(5)).expect("a member puts");
            let answer = attempt(&mut town, four[role], others);
            assert_eq!(
                answer.map_or_else(|no| no.code.into_owned(), |_| String::new()),
                code,
                "{what}, {role}"
            );
        }
    }
}

#[test]
fn roles_change_on_both_sides_and_there_is_one_leader() {
    let (mut town, guild, [ada, bob, cyd, dan]) = foxes();
    assert_eq!(no(set_role(&mut town, ada, bob, GuildRole::Officer)), "same_role");
    assert_eq!(no(set_role(&mut town, ada, bob, GuildRole::None)), "unclear");
    let odd = Command::SetGuildRole(SetGuildRole { guild, whom: bob.id, role: 4_711 });
    assert_eq!(no(wish(&mut town, ada, odd)), "unclear");
    assert_eq!(no(set_role(&mut town, ada, ada, GuildRole::Member)), "yourself");
    assert_eq!(no(set_role(&mut town, ada, dan, GuildRole::Officer)), "not_member");
    set_role(&mut town, ada, bob, GuildRole::Member).expect("down");
    assert_eq!(news(&mut town, bob), [(News::GuildRole, "Ada".to_owned(), "Foxes".to_owned())]);
    assert_eq!(no(leave(&mut town, ada)), "hand_over_first");
    set_role(&mut town, ada, cyd, GuildRole::Leader).expect("hands over");
    let roles: Vec<_> = members(&mut town, guild).into_iter().map(|(_, role)| role).collect();
    assert_eq!(roles, [GuildRole::Officer, GuildRole::Member, GuildRole::Leader]);
    assert_eq!(no(set_role(&mut town, ada, bob, GuildRole::Officer)), "no_right");
    leave(&mut town, ada).expect("she leads no more");
    assert_eq!((guild_of(&mut town, ada), members(&mut town, guild).len()), (0, 2));
    assert_eq!(no(leave(&mut town, ada)), "no_guild");
    remove(&mut town, cyd, bob).expect("the leader removes");
    assert_eq!(news(&mut town, bob), [(News::GuildRemoved, "Cyd".to_owned(), "Foxes".to_owned())]);
    assert_eq!(guild_of(&mut town, bob), 0);
    assert_eq!(no(remove(&mut town, cyd, bob)), "not_member");
    assert_eq!(no(remove(&mut town, cyd, cyd)), "yourself");
    // What they knew of the guild does not help them.
    let stale = Command::TakeFromChest(TakeFromChest { guild, stack: Some(wood(1)) });
    assert_eq!(no(wish(&mut town, bob, stale)), "no_guild");
    town.check();
}

#[test]
fn a_command_for_the_guild_of_before_does_nothing_in_the_next_one() {
    let (mut town, guild, [_, bob, ..]) = foxes();
    leave(&mut town, bob).expect("an officer leaves");
    town.give(bob, Item::Plank, 4);
    found(&mut town, bob, "Wolves").expect("has planks");
    let stale = Command::PutInChest(PutInChest { guild, stack: Some(wood(1)) });
    assert_eq!(no(wish(&mut town, bob, stale)), "no_guild");
    assert_eq!(no(wish(&mut town, bob, Command::DissolveGuild(DissolveGuild { guild }))), "no_guild");
    assert_eq!(town.count(bob, Item::Wood), 20);
}

#[test]
fn the_last_one_out_dissolves_it_and_the_name_is_free_after_the_cool_down() {
    for by_leaving in [false, true] {
        let mut town = Town::new();
        let [ada, bob] = ["Ada", "Bob"].map(|name| rich(&mut town, name));
        found(&mut town, ada, "Foxes").expect("has planks");
        let guild = guild_of(&mut town, ada);
        invite(&mut town, ada, bob).expect("invites");
        town.give(ada, Item::Wood, 3);
        put(&mut town, ada, wood(3)).expect("has it");
        let end: fn(&mut Town, EntityId) -> Answer = if by_leaving { leave } else { dissolve };
        assert_eq!(no(end(&mut town, ada)), "chest_not_empty");
        take(&mut town, ada, wood(3)).expect("the leader takes");
        end(&mut town, ada).expect("alone, with an empty chest");
        assert_eq!((guild_of(&mut town, ada), town.public::<Guild>(guild)), (0, None));
        assert_eq!(town.public::<Player>(ada).expect("is there").guild, "");
        // Twice, whatever the client thinks.
        for twice in [
            Command::DissolveGuild(DissolveGuild { guild }),
            Command::LeaveGuild(LeaveGuild { guild }),
            Command::PutInChest(PutInChest { guild, stack: Some(wood(1)) }),
        ] {
            assert_eq!(no(wish(&mut town, ada, twice)), "no_guild");
        }
        assert_eq!(town.count(ada, Item::Wood), 3);
        // An invitation of before leads nowhere, and goes when it is declined.
        assert_eq!(no(accept(&mut town, bob, guild)), "guild_gone");
        decline(&mut town, bob, guild).expect("is invited");
        assert_eq!(town.own(bob).invitations, []);
        town.pass_ms(NAME_KEPT_MS - 60_000);
        town.ring();
        assert_eq!(no(found(&mut town, bob, "FOXES")), "name_taken");
        town.pass_ms(60_000);
        assert_eq!(town.ring(), 1);
        found(&mut town, bob, "FOXES").expect("the name is free");
        town.check();
    }
}

#[test]
fn all_leave_with_the_guild_or_none_does() {
    let mut town = Town::new();
    let ada = rich(&mut town, "Ada");
    found(&mut town, ada, "Foxes").expect("has planks");
    let guild = guild_of(&mut town, ada);
    let others: Vec<_> = (0..=DISSOLVED_MAX).map(|n| settle(&mut town, &format!("Bob {n}"))).collect();
    others.iter().for_each(|other| join(&mut town, ada, *other));
    assert_eq!(no(dissolve(&mut town, ada)), "too_many_members");
    remove(&mut town, ada, others[0]).expect("the leader removes");
    others.iter().for_each(|other| drop(news(&mut town, *other)));
    dissolve(&mut town, ada).expect("as many as one transaction can change");
    for other in &others[1..] {
        assert_eq!(guild_of(&mut town, *other), 0);
        assert_eq!(news(&mut town, *other), [(News::GuildDissolved, "Ada".to_owned(), "Foxes".to_owned())]);
    }
    assert_eq!(town.public::<Guild>(guild), None);
}

#[test]
fn the_chest_says_who_put_and_took_what() {
    let (mut town, guild, [ada, bob, cyd, _]) = foxes();
    let reply = put(&mut town, cyd, wood(7)).expect("a member puts");
    assert_eq!((reply.spent, town.count(cyd, Item::Wood)), (vec![wood(7)], 13));
    let reply = take(&mut town, bob, wood(2)).expect("an officer takes");
    assert_eq!((reply.gained, town.count(bob, Item::Wood)), (vec![wood(2)], 22));
    let at = town.now.0;
    let public = seen(&mut town, guild);
    assert_eq!(public.chest, [wood(5)]);
    let log: Vec<_> =
        public.log.iter().map(|e| (e.who.clone().expect("somebody").name, e.took, e.stack)).collect();
    assert_eq!(log, [("Cyd".to_owned(), false, Some(wood(7))), ("Bob".to_owned(), true, Some(wood(2)))]);
    assert_eq!(public.log[1].at, at);
    for n in 0..LOG_MAX as u32 + 5 {
        let done = if n % 2 == 0 { put(&mut town, ada, wood(1)) } else { take(&mut town, ada, wood(1)) };
        done.expect("the leader may");
    }
    let log = seen(&mut town, guild).log;
    assert_eq!(log.len(), LOG_MAX, "the last ones");
    assert!(log.iter().all(|entry| entry.who.as_ref().is_some_and(|who| who.id == ada.id)));
    town.check();
}

#[test]
fn what_makes_no_sense_at_the_chest_is_refused() {
    let (mut town, guild, [ada, bob, ..]) = foxes();
    for (stack, code) in [
        (wood(0), "unclear"),
        (stack(Item::None, 1), "unclear"),
        (Stack { item: -1, count: 1, ..Stack::default() }, "unclear"),
        (Stack { item: 4_711, count: 1, ..Stack::default() }, "unclear"),
        (wood(21), "missing_items"),
        (wood(u32::MAX), "missing_items"),
        (stack(Item::Axe, 1), "missing_items"),
    ] {
        assert_eq!(no(put(&mut town, ada, stack)), code, "put {stack:?}");
        let code = if code == "unclear" { code } else { "not_in_chest" };
        assert_eq!(no(take(&mut town, ada, stack)), code, "take {stack:?}");
    }
    for command in [
        Command::PutInChest(PutInChest { guild, stack: None }),
        Command::TakeFromChest(TakeFromChest { guild, stack: None }),
    ] {
        assert_eq!(no(wish(&mut town, ada, command)), "unclear");
    }
    // Taken once is taken.
    put(&mut town, ada, wood(1)).expect("has it");
    take(&mut town, bob, wood(1)).expect("is there");
    assert_eq!(no(take(&mut town, ada, wood(1))), "not_in_chest");
    assert_eq!(seen(&mut town, guild).chest, []);
}

#[test]
fn chest_and_bag_do_not_overflow() {
    let (mut town, guild, [ada, bob, ..]) = foxes();
    // One axe fills a slot.
    for _ in 0..CHEST_SLOTS_MAX {
        town.give(ada, Item::Axe, 1);
        put(&mut town, ada, stack(Item::Axe, 1)).expect("there is room");
    }
    assert_eq!(seen(&mut town, guild).chest.len() as u32, CHEST_SLOTS_MAX);
    assert_eq!(no(put(&mut town, ada, wood(1))), "chest_full");
    assert_eq!(town.count(ada, Item::Wood), 20);
    for _ in 0..SLOTS_MAX - 1 {
        take(&mut town, bob, stack(Item::Axe, 1)).expect("his wood has a slot");
    }
    let before = seen(&mut town, guild).chest;
    assert_eq!(no(take(&mut town, bob, stack(Item::Axe, 1))), "inventory_full");
    assert_eq!(seen(&mut town, guild).chest, before, "nothing moved");
    put(&mut town, ada, wood(20)).expect("room again");
}

#[test]
fn a_full_guild_takes_nobody_and_can_be_shown() {
    let mut town = Town::new();
    let ada = rich(&mut town, "Ada");
    found(&mut town, ada, "Foxes").expect("has planks");
    let guild = guild_of(&mut town, ada);
    // As long as names get, and they differ.
    let long = |n: usize| {
        let digit = |n: usize| char::from_u32('\u{966}' as u32 + n as u32).expect("a digit");
        format!("{}{}{}", "क्ष्म्यि".repeat(5), digit(n / 10), digit(n % 10))
    };
    let others: Vec<_> = (0..96).map(|n| settle(&mut town, &long(n))).collect();
    let (inside, outside) = others.split_at(MEMBERS_MAX - 1);
    inside.iter().take(MEMBERS_MAX - 2).for_each(|other| join(&mut town, ada, *other));
    let last = inside[MEMBERS_MAX - 2];
    for other in &outside[..INVITED_MAX - 1] {
        invite(&mut town, ada, *other).expect("the leader invites");
    }
    invite(&mut town, ada, last).expect("as many as can be");
    assert_eq!(no(invite(&mut town, ada, outside[INVITED_MAX - 1])), "invitations_full");
    accept(&mut town, last, guild).expect("the last place");
    assert_eq!(no(accept(&mut town, outside[0], guild)), "guild_full");
    assert_eq!(no(invite(&mut town, ada, outside[INVITED_MAX - 1])), "guild_full");
    set_role(&mut town, ada, last, GuildRole::Officer).expect("the leader gives roles");
    // Unique things take most: each has an id.
    let axe = stack(Item::Axe, 1);
    for _ in 0..CHEST_SLOTS_MAX {
        town.give(last, Item::Axe, 1);
        put(&mut town, last, axe).expect("there is room");
    }
    for n in 0..LOG_MAX {
        let done = if n % 2 == 0 { take(&mut town, last, axe) } else { put(&mut town, last, axe) };
        done.expect("an officer may");
    }
    let public = seen(&mut town, guild);
    assert!(public.chest.len() as u32 == CHEST_SLOTS_MAX && public.chest.iter().all(|axe| axe.id != 0));
    let public = gundo::Message::encode_to_vec(&public);
    assert_eq!(members(&mut town, guild).len(), MEMBERS_MAX);
    assert!(public.len() < PUBLIC_BYTES_MAX, "{} bytes", public.len());
    // Who leaves makes room.
    remove(&mut town, ada, last).expect("the leader removes");
    accept(&mut town, outside[0], guild).expect("there is room");
}

#[test]
fn nobody_is_flooded_with_invitations() {
    let mut town = Town::new();
    let zoe = settle(&mut town, "Zoe");
    for n in 0..INVITATIONS_MAX {
        let leader = rich(&mut town, &format!("Leader {n}"));
        found(&mut town, leader, &format!("Guild {n}")).expect("has planks");
        invite(&mut town, leader, zoe).expect("invites");
    }
    let late = rich(&mut town, "Late");
    found(&mut town, late, "Late Guild").expect("has planks");
    assert_eq!(no(invite(&mut town, late, zoe)), "their_invitations_full");
    let first = town.own(zoe).invitations.remove(0).guild;
    decline(&mut town, zoe, first).expect("is invited");
    invite(&mut town, late, zoe).expect("there is room");
    accept(&mut town, zoe, first).expect_err("declined");
    let late = guild_of(&mut town, late);
    accept(&mut town, zoe, late).expect("is invited");
    assert_eq!(town.own(zoe).invitations.len(), INVITATIONS_MAX - 1, "the others stay");
}

#[test]
fn only_members_watch_a_guild() {
    let (mut town, guild, [ada, bob, cyd, dan]) = foxes();
    invite(&mut town, ada, dan).expect("the leader invites");
    let state = town.state::<Guild>(guild);
    let guild = Guild::load(guild, town.island, state);
    let may = [ada, bob, cyd, dan].map(|who| guild.may_watch(who));
    assert_eq!(may, [true, true, true, false]);
    assert!(!guild.may_watch(EntityId::new(gundo::Kind(2), ada.id)), "another kind with her number");
}
