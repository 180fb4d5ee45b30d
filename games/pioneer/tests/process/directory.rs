//! A server on another directory than that of its world: it says so, or it is another world, and no key is lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gundo_client::{Client, Event, Events, SessionSettings};

use super::server::Server;

/// What a server says that does not start here.
fn refusal(data: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
    command.envs(environment.iter().copied()).args(["--listen", "0", "--data"]).arg(data);
    let output = command.output().expect("it runs");
    assert!(!output.status.success(), "it does not start");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn until<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            let (event, _) = events.recv().await.expect("the client lives");
            if let Some(found) = event.and_then(&wanted) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), search).await.expect("it happens")
}

fn settings(server: &Server, name: &str) -> SessionSettings {
    let edge = format!("ws://127.0.0.1:{}", server.port).parse().expect("an address");
    SessionSettings::new(vec![edge], name)
}

#[test]
fn a_wrong_directory_is_an_error_and_another_world_costs_nobody_a_key() {
    let place = tempfile::tempdir().expect("a directory");
    let (home, other) = (place.path().join("home"), place.path().join("other"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut server = Server::start(&home, 0);
    let port = server.port;
    let key = runtime.block_on(async {
        let (client, mut events) = Client::start(settings(&server, "Ada"));
        let token = until(&mut events, |event| match event {
            Event::Welcomed(welcome) => Some(welcome.token.clone()),
            _ => None,
        });
        let token = token.await;
        client.leave().await;
        token
    });
    let id = std::fs::read_to_string(home.join("world.id")).expect("noted").trim().to_owned();
    server.terminate();
    assert!(server.wait().success());

    // A directory that is not mounted: the configuration knows which world should be there.
    let nothing = place.path().join("nothing");
    let said = refusal(&nothing, &[("GUNDO_WORLD_ID", &id)]);
    assert!(said.contains(&format!("expects the world {id}")) && said.contains("there is none"), "{said}");
    // One that has lost its journal, and one that has got another world's.
    std::fs::create_dir(&nothing).expect("made");
    std::fs::copy(home.join("world.id"), nothing.join("world.id")).expect("copied");
    let said = refusal(&nothing, &[]);
    assert!(said.contains(&format!("is the home of the world {id}")) && said.contains("restore"), "{said}");

    // An empty directory and no word of a world: that is a new one, at the same address. Ada's key is not good there, and stays.
    let mut server = Server::start(&other, port);
    let code = runtime.block_on(async {
        let mut back = settings(&server, "Ada");
        back.token = key.clone();
        let (_client, mut events) = Client::start(back);
        until(&mut events, |event| match event {
            Event::Refused(refusal) => Some(refusal.code),
            Event::Welcomed(_) => Some("welcome".to_owned()),
            _ => None,
        })
        .await
    });
    assert_eq!(code, "unknown_world", "and not a code after which clients forget their keys");
    server.terminate();
    assert!(server.wait().success());
    let said = refusal(&other, &[("GUNDO_WORLD_ID", &id)]);
    assert!(said.contains(&format!("expects the world {id}")), "{said}");

    let mut server = Server::start(&home, port);
    runtime.block_on(async {
        let mut back = settings(&server, "Ada");
        back.token = key;
        let (_client, mut events) = Client::start(back);
        let is_there = until(&mut events, |event| match event {
            Event::Refused(refusal) => Some(Err(refusal.code)),
            Event::Welcomed(_) => Some(Ok(())),
            _ => None,
        });
        assert_eq!(is_there.await, Ok(()), "she is at home again");
    });
    server.terminate();
    assert!(server.wait().success());
}
