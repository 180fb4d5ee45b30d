//! Names that change: the new one is taken and the old one kept in one step, nobody takes its place, and those who know one hear of it.

mod support;

use gundo::{EntityId, Refusal};
use pioneer::schema::player_command::Command;
use pioneer::schema::{
    AcceptGuild, Befriend, Block, FoundGuild, GuildDissolved, GuildRole, GuildState, InviteToGuild, Item,
    News, PlayerReply, PlayerTold, Rename, RenameGuild, SendLetter, SetGuildRole, guild_event,
};
use pioneer::{Guild, NAME_KEPT_MS, Player, RENAME_EVERY_MS};
use support::{Town, no};

type Answer = Result<PlayerReply, Refusal>;

/// Waits first, so that no pace of commands says no.
fn wish(town: &mut Town, who: EntityId, command: Command) -> Answer {
    town.pass_ms(10_000);
    town.wish(who, command)
}

fn rename(town: &mut Town, who: EntityId, name: &str) -> Answer {
    let done = wish(town, who, Command::Rename(Rename { name: name.into() }));
    spread(town);
    done
}

fn rename_guild(town: &mut Town, who: EntityId, guild: u64, name: &str) -> Answer {
    let done = wish(town, who, Command::RenameGuild(RenameGuild { guild, name: name.into() }));
    spread(town);
    done
}

/// What is due rings, and what was sent is taken.
fn spread(town: &mut Town) {
    while town.ring() + town.deliver() > 0 {}
}

/// World time passes, and old names end.
fn pass(town: &mut Town, ms: u64) {
    town.pass_ms(ms);
    spread(town);
}

fn write(town: &mut Town, who: EntityId, name: &str) -> Answer {
    let letter = SendLetter { name: name.into(), text: "Hello!".into(), ..SendLetter::default() };
    wish(town, who, Command::SendLetter(letter))
}

fn befriend(town: &mut Town, one: EntityId, other: EntityId) {
    wish(town, one, Command::Befriend(Befriend { with: other.id })).expect("asks");
    wish(town, other, Command::Befriend(Befriend { with: one.id })).expect("accepts");
}

/// Letters find the player from now on.
fn list(town: &mut Town, who: EntityId) {
    let (at, chunk, thing) = support::something_to_gather(town);
    town.stand(who, at);
    town.pass_ms(3_600_000);
    town.gather(who, chunk, thing).expect("it has grown");
}

fn found(town: &mut Town, who: EntityId, name: &str) -> u64 {
    town.give(who, Item::Plank, 4);
    wish(town, who, Command::FoundGuild(FoundGuild { name: name.into() })).expect("a good name");
    town.own(who).guild.expect("leads it").id
}

fn join(town: &mut Town, leader: EntityId, who: EntityId, guild: u64) {
    wish(town, leader, Command::InviteToGuild(InviteToGuild { guild, whom: who.id })).expect("invites");
    wish(town, who, Command::AcceptGuild(AcceptGuild { guild })).expect("is invited");
}

fn names(people: &[pioneer::schema::Person]) -> Vec<&str> {
    people.iter().map(|person| person.name.as_str()).collect()
}

fn old_names(town: &mut Town, who: EntityId) -> Vec<String> {
    town.own(who).old_names.into_iter().map(|old| old.name).collect()
}

fn people<const N: usize>(all: [&str; N]) -> (Town, [EntityId; N]) {
    let mut town = Town::new();
    let ids = all.map(|name| town.settle(name).expect("a good name"));
    (town, ids)
}

#[test]
fn nobody_takes_the_place_of_who_has_another_name() {
    let (mut town, [ada, bob]) = people(["Ada", "Bob"]);
    rename(&mut town, ada, "  Eda ").expect("is free");
    let own = town.own(ada);
    assert_eq!((own.name.as_str(), own.renamed_at), ("Eda", town.now.0));
    assert_eq!(town.public::<Player>(ada).expect("is there").name, "Eda");
    assert_eq!(old_names(&mut town, ada), ["Ada"]);
    for taken in ["Ada", "ADA", "eda"] {
        assert_eq!(no(rename(&mut town, bob, taken)), "name_taken", "{taken}");
        assert_eq!(no(town.settle(taken)), "name_taken", "{taken}");
    }
    pass(&mut town, NAME_KEPT_MS - 1_000_000);
    assert_eq!(no(town.settle("Ada")), "name_taken");
    pass(&mut town, 1_000_000);
    assert_eq!(old_names(&mut town, ada), Vec::<String>::new());
    rename(&mut town, bob, "Ada").expect("is free after the cool-down");
    assert_eq!(no(town.settle("Bob")), "name_taken", "it keeps its own");
    assert_eq!(town.ring(), 0);
}

#[test]
fn what_cannot_be_a_name_or_comes_too_soon_is_refused() {
    let (mut town, [ada, _]) = people(["Ada", "Bob"]);
    for (name, code) in [
        ("", "bad_name"),
        ("x", "bad_name"),
        ("a\u{202e}b", "bad_name"),
        ("Ada", "same_name"),
        (" Ada ", "same_name"),
    ] {
        assert_eq!(no(rename(&mut town, ada, name)), code, "{name:?}");
    }
    assert_eq!(no(rename(&mut town, ada, "Bob")), "name_taken");
    assert_eq!(town.own(ada).renamed_at, 0, "a refusal has no effect");
    rename(&mut town, ada, "Eda").expect("the first time at once");
    assert_eq!(no(rename(&mut town, ada, "Ida")), "renamed_lately");
    assert_eq!(no(rename(&mut town, ada, "Ada")), "renamed_lately", "back, too");
    pass(&mut town, RENAME_EVERY_MS);
    rename(&mut town, ada, "Ida").expect("it is time");
    assert_eq!(old_names(&mut town, ada), ["Ada", "Eda"]);
    assert_eq!(
        no(wish(&mut town, ada, Command::RenameGuild(RenameGuild { guild: 1, name: "Foxes".into() }))),
        "no_guild"
    );
}

#[test]
fn one_goes_back_to_ones_own_old_name_during_the_cool_down() {
    let (mut town, [ada, bob]) = people(["Ada", "Bob"]);
    rename(&mut town, ada, "Eda").expect("is free");
    pass(&mut town, RENAME_EVERY_MS);
    rename(&mut town, ada, "Ada").expect("it is its own");
    assert_eq!(old_names(&mut town, ada), ["Eda"]);
    // The time of its old name, when it is not old any more.
    pass(&mut town, NAME_KEPT_MS - RENAME_EVERY_MS);
    assert_eq!(no(rename(&mut town, bob, "Ada")), "name_taken");
    pass(&mut town, RENAME_EVERY_MS);
    rename(&mut town, bob, "Eda").expect("that one is over");
    assert_eq!((town.own(ada).name.as_str(), old_names(&mut town, ada)), ("Ada", vec![]));
}

#[test]
fn names_that_share_what_they_look_like_are_not_torn_apart() {
    let (mut town, [ada, bob]) = people(["iris", "Bob"]);
    rename(&mut town, ada, "Iris").expect("looks like its own");
    assert_eq!(old_names(&mut town, ada), ["iris"]);
    pass(&mut town, NAME_KEPT_MS);
    assert_eq!(old_names(&mut town, ada), Vec::<String>::new());
    for same in ["iris", "Iris", "lris"] {
        assert_eq!(no(rename(&mut town, bob, same)), "name_taken", "{same}");
    }
    let (mut town, [ada]) = people(["Ada"]);
    rename(&mut town, ada, "ADA").expect("it is its own");
    assert_eq!(old_names(&mut town, ada), Vec::<String>::new(), "the same unique name");
    assert_eq!(town.own(ada).name, "ADA");
}

#[test]
fn of_two_who_want_a_name_one_gets_it() {
    let (mut town, [ada, bob]) = people(["Ada", "Bob"]);
    rename(&mut town, ada, "Cyd").expect("is first");
    assert_eq!(no(rename(&mut town, bob, "CYD")), "name_taken");
    assert_eq!((town.own(bob).name.as_str(), old_names(&mut town, bob)), ("Bob", vec![]));
    rename(&mut town, bob, "Dan").expect("a refusal does not use up the pace");
}

#[test]
fn letters_to_an_old_name_arrive_until_it_is_over() {
    let (mut town, [ada, bob]) = people(["Ada", "Bob"]);
    list(&mut town, bob);
    rename(&mut town, bob, "Rob").expect("is free");
    for name in ["Rob", "bob"] {
        assert_eq!(write(&mut town, ada, name).expect("finds him").name, "Rob", "it tells the new name");
    }
    pass(&mut town, NAME_KEPT_MS);
    assert_eq!(no(write(&mut town, ada, "Bob")), "nobody_called");
    write(&mut town, ada, "Rob").expect("finds him");
    // The next one who is called so is found, and not the first one.
    let cyd = town.settle("Bob").expect("is free");
    list(&mut town, cyd);
    write(&mut town, ada, "Bob").expect("finds Cyd");
    let sent = town.public::<pioneer::Mailbox>(cyd.id).expect("a mailbox").letters;
    assert_eq!(sent.len(), 1);
}

#[test]
fn who_is_found_first_under_its_second_name_is_not_found_under_the_first() {
    let (mut town, [ada, bob]) = people(["Ada", "Bob"]);
    rename(&mut town, bob, "Rob").expect("is free");
    list(&mut town, bob);
    write(&mut town, ada, "Rob").expect("finds him");
    assert_eq!(no(write(&mut town, ada, "Bob")), "nobody_called");
    pass(&mut town, NAME_KEPT_MS);
    write(&mut town, ada, "Rob").expect("finds him");
}

#[test]
fn friends_and_those_with_a_request_hear_of_it_and_who_blocks_does_not() {
    let (mut town, [ada, bob, cyd, dan, eve]) = people(["Ada", "Bob", "Cyd", "Dan", "Eve"]);
    befriend(&mut town, ada, bob);
    wish(&mut town, ada, Command::Befriend(Befriend { with: cyd.id })).expect("asks");
    wish(&mut town, dan, Command::Befriend(Befriend { with: ada.id })).expect("asks");
    wish(&mut town, eve, Command::Block(Block { whom: ada.id })).expect("blocks");
    town.heard::<Player>(bob);
    rename(&mut town, ada, "Ida").expect("is free");
    assert_eq!(names(&town.own(bob).friends), ["Ida"]);
    assert_eq!(names(&town.own(cyd).asks_me), ["Ida"]);
    assert_eq!(names(&town.own(dan).asked), ["Ida"]);
    assert_eq!(names(&town.own(eve).blocked), ["Ada"], "it is in no list of Ada's");
    let told: Vec<PlayerTold> = town.heard::<Player>(bob);
    let told: Vec<_> = told.iter().map(|t| (t.news(), t.name.as_str(), t.text.as_str())).collect();
    assert_eq!(told, [(News::Renamed, "Ida", "Ada")]);
    assert_eq!(town.heard::<Player>(cyd).iter().filter(|told| told.news() == News::Renamed).count(), 0);
}

#[test]
fn fifty_friends_hear_of_it() {
    let (mut town, [ada]) = people(["Ada"]);
    let friends: Vec<_> = (0..pioneer::FRIENDS_MAX)
        .map(|n| {
            let friend = town.settle(&format!("Friend {n}x")).expect("a good name");
            befriend(&mut town, ada, friend);
            friend
        })
        .collect();
    rename(&mut town, ada, "Ida").expect("is free");
    for friend in friends {
        assert_eq!(names(&town.own(friend).friends), ["Ida"]);
    }
}

#[test]
fn a_guild_has_the_new_names_of_its_members_and_they_have_the_guilds() {
    let (mut town, [ada, bob, cyd, dan]) = people(["Ada", "Bob", "Cyd", "Dan"]);
    let guild = found(&mut town, ada, "Foxes");
    join(&mut town, ada, bob, guild);
    wish(&mut town, ada, Command::InviteToGuild(InviteToGuild { guild, whom: cyd.id })).expect("invites");
    rename(&mut town, bob, "Rob").expect("is free");
    let seen = town.public::<Guild>(guild).expect("has members");
    let listed: Vec<_> = seen.members.into_iter().filter_map(|member| member.who).collect();
    assert_eq!(names(&listed), ["Ada", "Rob"]);

    assert_eq!(no(rename_guild(&mut town, bob, guild, "Herons")), "no_right");
    assert_eq!(no(rename_guild(&mut town, dan, guild, "Herons")), "no_guild");
    for (name, code) in [("x", "bad_name"), ("Foxes", "same_name")] {
        assert_eq!(no(rename_guild(&mut town, ada, guild, name)), code, "{name}");
    }
    town.heard::<Player>(bob);
    rename_guild(&mut town, ada, guild, "Herons").expect("the leader may");
    assert_eq!(no(rename_guild(&mut town, ada, guild, "Otters")), "renamed_lately");
    assert_eq!(town.public::<Guild>(guild).expect("has members").name, "Herons");
    for member in [ada, bob] {
        assert_eq!(town.public::<Player>(member).expect("is there").guild, "Herons");
    }
    assert_eq!(town.own(cyd).invitations[0].name, "Herons");
    let told: Vec<PlayerTold> = town.heard::<Player>(bob);
    let told: Vec<_> = told.iter().map(|t| (t.news(), t.guild.as_str(), t.text.as_str())).collect();
    assert_eq!(told, [(News::GuildRenamed, "Herons", "Foxes")]);

    // The name of before is kept, and then free; a new leader goes on.
    town.give(dan, Item::Plank, 4);
    let foxes = Command::FoundGuild(FoundGuild { name: "Foxes".into() });
    assert_eq!(no(wish(&mut town, dan, foxes.clone())), "name_taken");
    let hands_over = SetGuildRole { guild, whom: bob.id, role: GuildRole::Leader.into() };
    wish(&mut town, ada, Command::SetGuildRole(hands_over)).expect("hands over");
    pass(&mut town, NAME_KEPT_MS);
    wish(&mut town, dan, foxes).expect("is free");
    rename_guild(&mut town, bob, guild, "Otters").expect("leads it");
}

#[test]
fn a_guild_that_an_earlier_version_dissolved_keeps_no_name() {
    let (mut town, [ada]) = people(["Ada"]);
    let guild = found(&mut town, ada, "Foxes");
    town.happen::<Guild>(guild, &guild_event::Event::Dissolved(GuildDissolved { by: ada.id, kept: None }));
    let state: GuildState = town.state::<Guild>(guild);
    assert_eq!((state.dissolved, state.naming, state.name_keys), (true, None, vec![]));
}
