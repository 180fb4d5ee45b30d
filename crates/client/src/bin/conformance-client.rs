//! The Rust client as the conformance kit wants it: wishes from standard input, events as lines of JSON to standard output.
//!
//! The contract is in `crates/conformance/src/stage.rs`. It is written by hand, because all that it prints is numbers, codes
//! and hexadecimal digits.

// Its output is its purpose.
#![allow(clippy::print_stdout)]

use std::io::BufRead;
use std::process::ExitCode;

use gundo_client::{Client, Event, Events, PictureEvent, SessionSettings};
use gundo_types::{Body, EntityId, Kind, Point};
use gundo_wire::client::Refusal;
use tokio::sync::mpsc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, name] = words.as_slice() else {
        eprintln!("usage: conformance-client URL NAME");
        return ExitCode::from(2);
    };
    let edge = match url.parse() {
        Ok(edge) => edge,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (told, wishes) = mpsc::unbounded_channel();
    // It ends with the process.
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| told.send(line))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(play(SessionSettings::new(vec![edge], name), wishes));
    ExitCode::SUCCESS
}

async fn play(settings: SessionSettings, mut wishes: mpsc::UnboundedReceiver<String>) {
    let (client, mut events) = Client::start(settings);
    let client = std::sync::Arc::new(client);
    loop {
        tokio::select! {
            biased;
            event = next(&mut events) => match event {
                Some((event, changes)) => tell(event, &changes),
                None => return,
            },
            wish = wishes.recv() => match wish {
                Some(wish) => grant(&client, &wish).await,
                None => return,
            },
        }
    }
}

/// The next event. After the last one it waits: the kit ends the process.
async fn next(events: &mut Events) -> Option<(Option<Event>, Vec<PictureEvent>)> {
    match events.recv().await {
        Some(event) => Some(event),
        None => std::future::pending().await,
    }
}

async fn grant(client: &std::sync::Arc<Client>, wish: &str) {
    let words: Vec<&str> = wish.split(' ').collect();
    match words.as_slice() {
        ["command", digits] => {
            let (client, payload) = (std::sync::Arc::clone(client), bytes(digits));
            // Its answer comes as an event, too.
            tokio::spawn(async move { client.command(payload).await });
            tokio::task::yield_now().await;
        }
        ["move", x, y, heading, speed] => {
            let at = Point::new(number(x) as i32, number(y) as i32);
            let (heading, speed) = (number(heading) as u8, number(speed) as u8);
            client.walk(Body { at, heading, speed, ..Body::default() }).await;
        }
        ["watch", kind, id] => {
            client.watch(EntityId::new(Kind(number(kind) as u16), number(id) as u64)).await
        }
        ["name", name] => client.introduce(*name).await,
        ["invitation", text] => client.show_invitation(*text).await,
        ["picture"] => picture(client),
        ["leave"] => client.leave().await,
        _ => println!(r#"{{"event":"cannot","wish":"{wish}"}}"#),
    }
}

fn picture(client: &Client) {
    let picture = client.picture();
    let entities: Vec<String> = picture
        .entities()
        .map(|(id, seen)| {
            let body = seen.body.map_or_else(String::new, |body| {
                let Body { at, heading, speed, .. } = body;
                format!(r#","x":{},"y":{},"heading":{heading},"speed":{speed}"#, at.x, at.y)
            });
            format!(r#"{{"id":"{}","public":"{}"{body}}}"#, name(id), hex(&seen.public))
        })
        .collect();
    println!(r#"{{"event":"picture","entities":[{}]}}"#, entities.join(","));
}

fn tell(event: Option<Event>, changes: &[PictureEvent]) {
    for change in changes {
        if let PictureEvent::Signal(id, payload) = change {
            println!(r#"{{"event":"signal","id":"{}","payload":"{}"}}"#, name(*id), hex(payload));
        }
    }
    match event {
        Some(Event::Welcomed(welcome)) => println!(r#"{{"event":"welcome","own":"{}"}}"#, hex(&welcome.own)),
        Some(Event::Answered(answer)) => {
            let result = match &answer.result {
                Ok(payload) => format!(r#""payload":"{}""#, hex(payload)),
                Err(Refusal { code, .. }) => format!(r#""refusal":"{code}""#),
            };
            println!(r#"{{"event":"reply","nth":{},{result}}}"#, answer.id.0);
        }
        Some(Event::Own(payload)) => println!(r#"{{"event":"own","payload":"{}"}}"#, hex(&payload)),
        Some(Event::Told(payload)) => println!(r#"{{"event":"told","payload":"{}"}}"#, hex(&payload)),
        Some(Event::Corrected(c)) => {
            println!(
                r#"{{"event":"corrected","seq":{},"x":{},"y":{},"code":"{}"}}"#,
                c.seq, c.x, c.y, c.code
            );
        }
        Some(Event::Notice(n)) => {
            println!(r#"{{"event":"notice","code":"{}","text":"{}"}}"#, n.code, n.text);
        }
        Some(Event::Watched { entity, public, refusal, .. }) => {
            let public = public.map_or_else(String::new, |bytes| format!(r#","public":"{}""#, hex(&bytes)));
            let refusal = refusal.map_or_else(String::new, |r| format!(r#","refusal":"{}""#, r.code));
            println!(r#"{{"event":"watched","id":"{}"{public}{refusal}}}"#, name(entity));
        }
        Some(Event::Refused(refusal)) => println!(r#"{{"event":"refused","code":"{}"}}"#, refusal.code),
        Some(Event::Ended(closing)) => {
            let code = closing.map_or_else(|| "left".to_owned(), |closing| closing.code);
            println!(r#"{{"event":"ended","code":"{code}"}}"#);
        }
        Some(Event::RoundTrip(_) | Event::SlowLine(_) | Event::Stats(_) | Event::Lost { .. }) | None => {}
    }
}

fn name(id: EntityId) -> String {
    format!("{}/{}", id.kind.0, id.id)
}

fn number(word: &str) -> i64 {
    word.parse().expect("the kit gives numbers")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    let pair =
        |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("the kit gives hexadecimal digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}
