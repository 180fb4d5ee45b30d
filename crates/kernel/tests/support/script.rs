//! Scenarios: a short text of commands, each followed by what was seen. `UPDATE_SCENARIOS=1` records what is seen now, for
//! review.

use std::fmt::Write as _;

use bytes::Bytes;
use gundo_types::{NodeId, Point};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL};
use gundo_wire::journal::Cause;

use super::cluster::{Cluster, Fault, game_state};
use super::game::{self, PlayerCommand};

/// Runs the scenario in `path` and compares it with what it records.
pub fn check(path: &str) {
    let (path, recorded) = read(path);
    let (seen, _) = play(&recorded);
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        std::fs::write(&path, &seen).expect("the scenario can be written");
    } else {
        assert_eq!(recorded, seen, "{path} went another way (UPDATE_SCENARIOS=1 records it)");
    }
}

/// Whether the scenario in `path` goes as recorded.
pub fn goes_as_recorded(path: &str) -> bool {
    let (_, recorded) = read(path);
    std::panic::catch_unwind(|| play(&recorded).0 == recorded).unwrap_or(false)
}

fn read(path: &str) -> (String, String) {
    let path = format!("{}/tests/scenarios/{path}", env!("CARGO_MANIFEST_DIR"));
    let recorded = std::fs::read_to_string(&path).expect("the scenario is there");
    (path, recorded)
}

fn play(text: &str) -> (String, Cluster) {
    let mut out = String::new();
    let mut cluster = Cluster::new(3, 1);
    for line in text.lines() {
        if line.starts_with("  ") {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            let words: Vec<_> = line.split(' ').collect();
            for seen in step(&mut cluster, &words) {
                let _ = writeln!(out, "  {seen}");
            }
        }
    }
    (out, cluster)
}

fn step(cluster: &mut Cluster, words: &[&str]) -> Vec<String> {
    let mark = Mark::of(cluster);
    if let Some(seen) = asks(cluster, words) {
        return seen;
    }
    let parts = [comes, says, says_raw, happens];
    assert!(parts.iter().any(|part| part(cluster, words)), "no such command: {}", words[0]);
    mark.news(cluster)
}

fn number(words: &[&str], i: usize) -> i64 {
    words[i].parse().unwrap_or_else(|_| panic!("{words:?}: a number, please"))
}

/// Commands by which clients connect. False: the words are for another part.
fn comes(cluster: &mut Cluster, words: &[&str]) -> bool {
    match words[0] {
        "connect" => drop(cluster.connect(words[1], number(words, 2) as u16)),
        "resume" => {
            // With the present token of an earlier client of that name, at another node.
            let before = &cluster.clients[find(cluster, words[1])].session;
            let (token, place) = (before.token().clone(), before.place().clone());
            cluster.come_back(words[2], number(words, 3) as u16, token, place);
        }
        "steal" => {
            // Somebody knows the player's id, but not the secret.
            let mut token = cluster.clients[find(cluster, words[1])].session.token().to_vec();
            token[31] ^= 1;
            cluster.connect_with(words[2], number(words, 3) as u16, token.into());
        }
        "again" => {
            // Another client repeats the hello of a new player, with the same nonce.
            let nonce = cluster.nonces[words[1]];
            cluster.connect_as(words[2], number(words, 3) as u16, Bytes::new(), nonce);
        }
        "hello" => {
            // On a connection whose hello was refused: another name, and the nonce of somebody, or of nobody.
            let nonce = match words[3] {
                "short" => Bytes::from_static(&[7; 15]),
                "none" => Bytes::new(),
                who => Bytes::copy_from_slice(&cluster.nonces[who]),
            };
            let hello = Hello { protocol: PROTOCOL, name: words[2].into(), nonce, ..Default::default() };
            cluster
                .say_raw(find(cluster, words[1]), ClientMessage { hello: Some(hello), ..Default::default() });
        }
        "keep" => {
            let session = &cluster.clients[find(cluster, words[1])].session;
            cluster.kept = (session.token().clone(), session.place().clone());
        }
        "reuse" => {
            let (token, place) = cluster.kept.clone();
            cluster.come_back(words[1], number(words, 2) as u16, token, place);
        }
        "forge" => drop(cluster.connect_with(words[1], number(words, 2) as u16, Bytes::from(vec![7; 32]))),
        _ => return false,
    }
    true
}

/// Commands for what players do. False: the words are for another part.
fn says(cluster: &mut Cluster, words: &[&str]) -> bool {
    match words[0] {
        "take" => {
            let chunk = cluster.chunk_where_home_is(number(words, 2) as u16);
            let client = find(cluster, words[1]);
            cluster.take(client, chunk, number(words, 3) as i32);
        }
        "take-at" => {
            let chunk = u64::from_str_radix(words[2], 16).expect("a number in hex");
            command(cluster, words[1], PlayerCommand { chunk, take: 1, ..Default::default() });
        }
        "take-two" => {
            let (chunk, also) = (
                cluster.chunk_where_home_is(number(words, 2) as u16),
                cluster.chunk_where_home_is(number(words, 3) as u16),
            );
            let client = find(cluster, words[1]);
            let command =
                PlayerCommand { chunk: chunk.to_u64(), take: 1, also: also.to_u64(), ..Default::default() };
            cluster.command(client, &command);
        }
        "say" => {
            command(cluster, words[1], PlayerCommand { say: words[2..].join(" "), ..Default::default() })
        }
        "rename" => {
            command(cluster, words[1], PlayerCommand { rename: words[2].into(), ..Default::default() })
        }
        "jump" => {
            command(cluster, words[1], PlayerCommand { jump: number(words, 2) as i32, ..Default::default() })
        }
        "panic" => {
            command(cluster, words[1], PlayerCommand { panic: number(words, 2) as u32, ..Default::default() })
        }
        "poison" => command(cluster, words[1], PlayerCommand { panic: 3, ..Default::default() }),
        "walk" => {
            let client = find(cluster, words[1]);
            cluster.walk(client, Point::new(number(words, 2) as i32, number(words, 3) as i32));
        }
        "leap" => {
            // One move, whatever its distance: a client that cheats says where it stands now.
            let client = find(cluster, words[1]);
            let at = Point::new(number(words, 2) as i32, number(words, 3) as i32);
            let body = gundo_types::Body { at, ..cluster.clients[client].body };
            cluster.move_to(client, body);
        }
        "stall" => {
            // What the client says arrives only after this time, all at once.
            let until = cluster.now + number(words, 2) as u64 * 1_000;
            cluster.stalled.insert(find(cluster, words[1]), until);
        }
        "stroll" => {
            // Walks on for this many steps, whatever it is told.
            let client = find(cluster, words[1]);
            cluster.stroll(client, number(words, 2) as i32);
        }
        "leave" => cluster.leave(find(cluster, words[1])),
        "cut" => cluster.cut(find(cluster, words[1])),
        "vanish" => cluster.vanish(find(cluster, words[1])),
        "lag" => cluster.lag(find(cluster, words[1]), true),
        "drained" => cluster.lag(find(cluster, words[1]), false),
        _ => return false,
    }
    true
}

/// Commands for messages that bypass the client's session. False: the words are for another part.
fn says_raw(cluster: &mut Cluster, words: &[&str]) -> bool {
    match words[0] {
        "raw-say" => {
            let said = PlayerCommand { say: words[3..].join(" "), ..Default::default() };
            let seq = words[2].parse().expect("a number");
            let command = gundo_wire::client::Command {
                seq,
                payload: said.encode_to_vec().into(),
                ..Default::default()
            };
            let message = ClientMessage { commands: vec![command], ..Default::default() };
            cluster.say_raw(find(cluster, words[1]), message);
        }
        "raw-says" => {
            let payload = Bytes::from(
                PlayerCommand { say: words[4..].join(" "), ..Default::default() }.encode_to_vec(),
            );
            let seqs = number(words, 2) as u64..=number(words, 3) as u64;
            let command =
                |seq| gundo_wire::client::Command { seq, payload: payload.clone(), ..Default::default() };
            let message = ClientMessage { commands: seqs.map(command).collect(), ..Default::default() };
            cluster.say_raw(find(cluster, words[1]), message);
        }
        "raw-takes" => {
            let chunk = cluster.chunk_where_home_is(number(words, 2) as u16);
            let take = PlayerCommand { chunk: chunk.to_u64(), take: 1, ..Default::default() };
            let payload = Bytes::from(take.encode_to_vec());
            let seq = number(words, 3) as u64;
            let command = gundo_wire::client::Command { seq, payload, ..Default::default() };
            let message =
                ClientMessage { commands: vec![command; number(words, 4) as usize], ..Default::default() };
            cluster.say_raw(find(cluster, words[1]), message);
        }
        _ => return false,
    }
    true
}

/// Commands for what happens to the world. False: the words are for another part.
fn happens(cluster: &mut Cluster, words: &[&str]) -> bool {
    match words[0] {
        "nodes" => *cluster = Cluster::new(number(words, 1) as u16, 1),
        "crash" => {
            // Everything in memory or in flight is lost, except the journal and what clients have saved.
            let (nonces, kept) = (std::mem::take(&mut cluster.nonces), std::mem::take(&mut cluster.kept));
            let (store, world_ms) = (std::mem::take(&mut cluster.disk.store), cluster.world().0);
            *cluster = Cluster::with_store(3, 2, store, world_ms);
            (cluster.nonces, cluster.kept) = (nonces, kept);
        }
        "slow" => {
            // Messages between two nodes, in one direction, take this many ms longer.
            let link = (NodeId(number(words, 1) as u16), NodeId(number(words, 2) as u16));
            cluster.slow_links.insert(link, number(words, 3) as u64 * 1_000);
        }
        "clock" => {
            // A node's world clock is this many ms ahead of the others'.
            cluster.clocks.insert(NodeId(number(words, 1) as u16), number(words, 2) as u64);
        }
        "run" => cluster.run_ms(number(words, 1) as u64),
        "settle" => assert!(cluster.run_until(20_000, Cluster::is_settled), "it does not settle"),
        "spoil" => cluster.spoilt = Some(cluster.player(find(cluster, words[1]))),
        "mend" => cluster.spoilt = None,
        "journal" => match words[1] {
            "stuck" => cluster.stuck = true,
            "goes" => (cluster.stuck, cluster.full) = (false, false),
            "flows" => cluster.stuck = false,
            "one" => cluster.commit_one(),
            "full" => cluster.full = true,
            // A replica gets nothing more; it takes the journal's place; nodes ask which generation it is.
            "lags" => cluster.replica = Some(cluster.disk.store.replica()),
            "fails-over" => cluster.fail_over(),
            "asked" => cluster.tell_generation(),
            "rejects" => cluster.faults.push_back(Fault::Rejected),
            "unknown-landed" => cluster.faults.push_back(Fault::UnknownLanded),
            "unknown-lost" => cluster.faults.push_back(Fault::UnknownLost),
            other => panic!("journal {other}?"),
        },
        "disk" => match words[1] {
            "low" => cluster.disk(true),
            "fine" => cluster.disk(false),
            "unreadable" => cluster.unreadable = true,
            "readable" => cluster.unreadable = false,
            other => panic!("disk {other}?"),
        },
        "busy" => cluster.load(number(words, 1) as u16, 1_000, number(words, 2) as u32),
        "at-ease" => cluster.load(number(words, 1) as u16, 0, number(words, 2) as u32),
        "lose" => cluster.lose_every = number(words, 1) as u64,
        "die" => cluster.die(number(words, 1) as u16),
        "bury" => cluster.bury(number(words, 1) as u16),
        "rise" => cluster.rise(number(words, 1) as u16),
        _ => return false,
    }
    true
}

/// Queries, and their answers.
fn asks(cluster: &mut Cluster, words: &[&str]) -> Option<Vec<String>> {
    Some(match words[0] {
        "heard" => {
            let heard = &cluster.clients[find(cluster, words[1])].heard;
            let line = |(seq, r): (&u64, &Result<Bytes, String>)| match r {
                Ok(_) => format!("#{seq} done"),
                Err(code) => format!("#{seq} refused: {code}"),
            };
            heard.iter().map(line).collect()
        }
        "recorded" => {
            let player = cluster.player(find(cluster, words[1]));
            let seq = number(words, 2) as u64;
            let causes = cluster.disk.store.stream(player, 0, usize::MAX).into_iter();
            let causes = causes.map(|(_, e)| Cause::decode(e.cause.as_ref()).expect("a cause"));
            vec![format!("#{seq} took effect {} times", causes.filter(|c| c.seq == seq).count())]
        }
        "see" => see(cluster, words[1]),
        "stream" => stream(cluster, words[1]),
        "check" => {
            cluster.check_pictures();
            cluster.check_pebbles();
            vec!["pictures equal, pebbles conserved".into()]
        }
        "stop" => {
            cluster.stop();
            cluster.run_ms(500);
            vec![format!("stopped: {:?}", cluster.stopped.iter().map(|n| n.0).collect::<Vec<_>>())]
        }
        _ => return None,
    })
}

fn find(cluster: &Cluster, name: &str) -> usize {
    cluster.clients.iter().rposition(|c| c.name == name).unwrap_or_else(|| panic!("nobody is called {name}"))
}

fn command(cluster: &mut Cluster, name: &str, command: PlayerCommand) {
    let client = find(cluster, name);
    cluster.command(client, &command);
}

/// How many messages each client had received at a moment.
struct Mark {
    clients: Vec<[usize; 7]>,
    killed: usize,
    alarms: usize,
}

impl Mark {
    fn of(cluster: &Cluster) -> Self {
        let count = |c: &super::cluster::Client| {
            let ended = usize::from(c.ended.is_some());
            [
                c.answers.len(),
                c.refused.len(),
                c.signals.len(),
                c.corrections.len(),
                c.welcomes as usize,
                ended,
                c.notices.len(),
            ]
        };
        Self {
            clients: cluster.clients.iter().map(count).collect(),
            killed: cluster.killed.len(),
            alarms: cluster.alarms.len(),
        }
    }

    fn news(&self, cluster: &Cluster) -> Vec<String> {
        let mut news = Vec::new();
        news.extend(cluster.killed.iter().skip(self.killed).map(|n| format!("node {n} is down")));
        news.extend(cluster.alarms.iter().skip(self.alarms).map(|(node, lost)| {
            let kind = if lost.entity.kind == game::PLAYER { "a player" } else { "land" };
            format!("{node} alarms: {kind} had {} events, {} are left", lost.known, lost.found)
        }));
        for (i, c) in cluster.clients.iter().enumerate() {
            let before = self.clients.get(i).copied().unwrap_or_default();
            let name = &c.name;
            if c.welcomes as usize > before[4] {
                let own = game::PlayerState::decode(c.own.as_ref()).expect("own state");
                news.push(format!("{name} is welcome as {:?} with {} pebbles", own.name, own.bag));
            }
            news.extend(c.refused[before[1]..].iter().map(|code| format!("{name} may not come in: {code}")));
            for answer in &c.answers[before[0]..] {
                news.push(match &answer.result {
                    Ok(reply) => {
                        let bag = game::LandReply::decode(reply.as_ref()).expect("a reply").taken;
                        format!("{name} #{} done, {bag} in the bag", answer.id.0)
                    }
                    Err(refusal) => format!("{name} #{} refused: {}", answer.id.0, refusal.code),
                });
            }
            for (_, payload) in &c.signals[before[2]..] {
                let said = game::Said::decode(payload.as_ref()).expect("a signal");
                news.push(format!("{name} hears {:?}", said.text));
            }
            news.extend(c.corrections[before[3]..].iter().map(|code| format!("{name} is corrected: {code}")));
            news.extend(c.notices[before[6]..].iter().map(|code| format!("{name} is told: {code}")));
            if c.ended.is_some() && before[5] == 0 {
                news.push(format!("{name}'s session ended: {}", c.ended.as_deref().unwrap_or("")));
            }
        }
        news
    }
}

fn see(cluster: &Cluster, name: &str) -> Vec<String> {
    let client = &cluster.clients[find(cluster, name)];
    let mut seen = Vec::new();
    for (id, s) in client.picture.entities() {
        if id.kind == game::PLAYER {
            let public = game::PlayerState::decode(s.public.as_ref()).expect("a player");
            let at = s.body.unwrap_or_default().at;
            seen.push(format!("{} with {} pebbles at {} {}", public.name, public.bag, at.x, at.y));
        } else if id.kind == game::LAND && s.public != (game::Pebbles { n: game::STOCK }).encode_to_vec() {
            seen.push(format!(
                "land {:x} has {} pebbles",
                id.id,
                game::Pebbles::decode(s.public.as_ref()).expect("land is seen as pebbles").n
            ));
        }
    }
    seen.sort();
    seen
}

fn stream(cluster: &Cluster, name: &str) -> Vec<String> {
    let id = cluster.player(find(cluster, name));
    let loaded = cluster.disk.store.load(id);
    let events = cluster.disk.store.stream(id, 0, usize::MAX);
    let mut lines: Vec<_> = events.iter().map(|(seq, e)| format!("{seq} {:?}", e.event_type)).collect();
    let state = game_state::<game::Player>(&loaded);
    lines.push(format!("replayed: {:?} with {} pebbles", state.0.name, state.0.bag));
    lines
}
