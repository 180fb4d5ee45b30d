//! Tools that inspect a journal, also beside a running server.

mod item;
mod past;
mod place;
mod player;
pub(crate) mod time;

use std::path::Path;

use gundo_kernel::WorldSettings;
use gundo_kernel::game::Rules;
use gundo_node::WorldInfo;
use gundo_types::{EntityId, Kind};
use gundo_wire::Message;
use gundo_wire::journal::{
    Cause, Delivered, EventRecord, EventType, OrderTaken, Sent, Session, Taken, TimerOver, TimerSet,
};

use crate::app::{Failure, say};
use crate::cli::JournalCommand;
use crate::lives::Lives;
use place::{Place, Reading};

/// Events read at a time.
const PAGE: usize = 1_000;

/// Executes `command`. `Ok(false)`: something is wrong with the journal.
pub(crate) fn run(
    command: &JournalCommand,
    rules: &dyn Fn(&WorldInfo) -> Rules,
    lives: Option<&dyn Lives>,
) -> Result<bool, Failure> {
    match command {
        JournalCommand::NewGeneration { journal } => new_generation(&Place::of(journal)?),
        JournalCommand::Verify { journal } => verify(&Place::of(journal)?),
        JournalCommand::AcceptLoss { data } => accept_loss(&data.data),
        JournalCommand::Stream { kind, id, journal } => stream(kind, *id, &Place::of(journal)?, rules),
        JournalCommand::Item { id, journal } => {
            let (mut reader, rules, world) = open(&Place::of(journal)?, rules)?;
            item::item(*id, &mut reader, &rules, told_by(lives)?, world.created_ms)
        }
        JournalCommand::Player { name, at, journal } => {
            let (mut reader, rules, world) = open(&Place::of(journal)?, rules)?;
            player::player(name, *at, &mut reader, &rules, told_by(lives)?, world.created_ms)
        }
    }
}

fn told_by(lives: Option<&dyn Lives>) -> Result<&dyn Lives, Failure> {
    lives.ok_or_else(|| "this game has no words for the lives of players and things (`App::lives`)".into())
}

/// The journal of a world of this game, opened for reading.
fn open(place: &Place, rules: &dyn Fn(&WorldInfo) -> Rules) -> Result<(Reading, Rules, WorldInfo), Failure> {
    let mut reader = place.read()?;
    let world = world(&mut reader)?;
    let rules = rules(&world);
    let found = reader.meta("game")?.unwrap_or_default();
    if found != rules.name() {
        return Err(format!("this journal is of the game {found:?}, not of {:?}", rules.name()).into());
    }
    Ok((reader, rules, world))
}

/// Copies the world in `data` to the new directory `to`.
pub(crate) fn backup(data: &Path, to: &Path) -> Result<bool, Failure> {
    let made = gundo_journal_sqlite::backup(data, to)?;
    say(&format!(
        "{}: {} bytes, checked and on the disk. Keep it on another disk.",
        to.display(),
        made.bytes
    ));
    Ok(true)
}

/// Puts the backup in `from` back into `data`.
pub(crate) fn restore(from: &Path, data: &Path, replace: bool) -> Result<bool, Failure> {
    let restored = gundo_journal_sqlite::restore(from, data, replace)?;
    let dir = data.display();
    say(&format!("{dir}: {} bytes restored. Start the server with --data {dir}.", restored.bytes));
    if replace {
        say(&format!("What was there before is in {dir}/replaced-{}.", restored.at_ms));
    }
    Ok(true)
}

fn accept_loss(data: &Path) -> Result<bool, Failure> {
    let lost = gundo_journal_sqlite::accept_loss(data)?;
    say(if lost {
        "accepted: the journal goes on without its log"
    } else {
        "nothing is missing: nothing was changed"
    });
    Ok(true)
}

fn new_generation(place: &Place) -> Result<bool, Failure> {
    let (before, begun) = place.begin_generation()?;
    say(&format!("generation {begun} has begun; the one before was {before}"));
    Ok(true)
}

fn verify(place: &Place) -> Result<bool, Failure> {
    let report = place.verify()?;
    say(&format!(
        "{} streams, {} events, {} snapshots, {} names",
        report.streams, report.events, report.snapshots, report.names
    ));
    for problem in &report.problems {
        say(&format!("problem: {problem}"));
    }
    let hidden = report.problem_count.saturating_sub(report.problems.len() as u64);
    if hidden > 0 {
        say(&format!("... and {hidden} more problems"));
    }
    say(if report.is_sound() { "sound" } else { "NOT sound" });
    Ok(report.is_sound())
}

fn stream(kind: &str, id: u64, place: &Place, rules: &dyn Fn(&WorldInfo) -> Rules) -> Result<bool, Failure> {
    let (mut reader, rules, _) = open(place, rules)?;
    let kind = kind_of(&rules, kind)?;
    let entity = EntityId::new(kind, id);
    let mut last = 0;
    let mut shown = 0u64;
    loop {
        let page = reader.stream(entity, last, PAGE)?;
        for (seq, event) in &page {
            if shown == 0 && *seq > 1 {
                say(&format!("(events before {seq} are in a snapshot and were pruned)"));
            }
            if !say(&line(&rules, kind, *seq, event)) {
                // The reader is gone: `head`, or a closed pager.
                return Ok(true);
            }
            shown += 1;
            last = *seq;
        }
        if page.len() < PAGE {
            break;
        }
    }
    match shown {
        0 => Err(format!("there is no {} with id {id:#x} in this journal", name_of(&rules, kind)).into()),
        _ => Ok(true),
    }
}

fn world(reader: &mut Reading) -> Result<WorldInfo, Failure> {
    let mut number = |key: &str| -> Result<u64, Failure> {
        let text =
            reader.meta(key)?.ok_or("this journal belongs to no world yet: start the server on it first")?;
        Ok(text.parse()?)
    };
    let settings = WorldSettings::default();
    Ok(WorldInfo { seed: number("seed")?, created_ms: number("created_ms")?, settings })
}

fn kind_of(rules: &Rules, text: &str) -> Result<Kind, Failure> {
    let number = text.parse().ok().map(Kind);
    let found = rules.kinds().find(|(kind, any)| any.name() == text || number == Some(*kind));
    found.map(|(kind, _)| kind).ok_or_else(|| {
        let known: Vec<_> = rules.kinds().map(|(kind, any)| format!("{} ({})", any.name(), kind.0)).collect();
        format!("this game has no kind {text:?}; it has {}", known.join(", ")).into()
    })
}

fn name_of(rules: &Rules, kind: Kind) -> &'static str {
    rules.kind_of(kind).map_or("entity", |any| any.name())
}

/// An event in readable form: seq, world time, what happened, why.
fn line(rules: &Rules, kind: Kind, seq: u64, event: &EventRecord) -> String {
    let what = match event.event_type {
        EventType::Game => match rules.kind_of(kind).map(|any| any.describe_event(&event.payload)) {
            Some(Ok(text)) => text,
            _ => format!("not readable by this game: {} bytes", event.payload.len()),
        },
        EventType::Session => match Session::decode(event.payload.as_ref()) {
            Ok(session) => format!("session {} adopted {} times", session.session, session.adoption),
            Err(_) => "session (not readable)".to_owned(),
        },
        EventType::Fenced => "fence".to_owned(),
        EventType::Answered => "answer without effect".to_owned(),
        EventType::Placed => "place".to_owned(),
        EventType::Sent | EventType::Taken | EventType::Delivered => mail(rules, event),
        EventType::TimerSet | EventType::TimerOver => timer(rules, kind, event),
        EventType::Ordered => order(rules, kind, event),
    };
    format!("{seq:>6}  {}  {what}{}", time::world(event.at.0), because(event))
}

/// What an event says about messages between entities.
fn mail(rules: &Rules, event: &EventRecord) -> String {
    let who = |kind: u32, id: u64| {
        let kind = u16::try_from(kind).map_or("entity", |kind| name_of(rules, Kind(kind)));
        format!("{kind} {id:x}")
    };
    let payload = event.payload.as_ref();
    let text = match event.event_type {
        EventType::Sent => Sent::decode(payload)
            .map(|s| format!("message to {}: {} bytes", who(s.kind, s.id), s.message.len())),
        EventType::Taken => {
            Taken::decode(payload).map(|t| format!("takes message {} of {}", t.number, who(t.kind, t.id)))
        }
        _ => Delivered::decode(payload).map(|d| format!("messages taken, or given up: {:?}", d.numbers)),
    };
    text.unwrap_or_else(|_| "message (not readable)".to_owned())
}

/// What an event says about an operator's order.
fn order(rules: &Rules, kind: Kind, event: &EventRecord) -> String {
    let Ok(taken) = OrderTaken::decode(event.payload.as_ref()) else {
        return "order (not readable)".to_owned();
    };
    let OrderTaken { request, by, code, text, answer, .. } = taken;
    if !code.is_empty() {
        return format!("refuses order {request:x} of {by}: {text} ({code})");
    }
    let words = rules.kind_of(kind).and_then(|any| any.order_answer(&answer));
    let words = words.unwrap_or_else(|| format!("an answer of {} bytes", answer.len()));
    format!("takes order {request:x} of {by}: {words}")
}

/// What an event says about a timer.
fn timer(rules: &Rules, kind: Kind, event: &EventRecord) -> String {
    let which = |timer: &[u8]| {
        let text = rules.kind_of(kind).and_then(|any| any.describe_timer(timer));
        text.unwrap_or_else(|| format!("of {} bytes", timer.len()))
    };
    let payload = event.payload.as_ref();
    let text = match event.event_type {
        EventType::TimerSet => TimerSet::decode(payload)
            .map(|set| format!("timer {} set for {}", which(&set.timer), time::world(set.at))),
        _ => TimerOver::decode(payload).map(|over| {
            let how = match over.how {
                0 => "cancelled",
                1 => "rings",
                2 => "refused",
                _ => "given up",
            };
            format!("timer {} of {} {how}", which(&over.timer), time::world(over.at))
        }),
    };
    text.unwrap_or_else(|_| "timer (not readable)".to_owned())
}

fn because(event: &EventRecord) -> String {
    let Ok(cause) = Cause::decode(event.cause.as_ref()) else { return "  (cause not readable)".to_owned() };
    let mut text = String::new();
    if cause.seq != 0 {
        text += &format!("  [command {} of session {}]", cause.seq, cause.session);
    }
    if let Some(place) = cause.place {
        let metres = |mm: i32| f64::from(mm) / 1_000.0;
        text += &format!("  at {:.1}, {:.1} m on island {}", metres(place.x), metres(place.y), place.island);
    }
    text
}
