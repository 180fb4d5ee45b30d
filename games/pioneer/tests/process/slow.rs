//! Lines that are slow: a proxy holds every byte back for a while, in both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::server::Server;

/// Forwards connections to `upstream`; returns its port. Each byte arrives `late` after it was sent. It ends with the process of the
/// test.
fn slow_line(upstream: u16, late: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                // The connection itself takes a round trip to open.
                std::thread::sleep(2 * late);
                let server = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
                let (back, to) = (server.try_clone().ok()?, client.try_clone().ok()?);
                hold_back(back, to, late);
                hold_back(client, server, late);
                Some(())
            });
        }
    });
    port
}

/// Carries bytes one way, late.
fn hold_back(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let (flying, landing) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if flying.send((Instant::now() + late, buffer[..n].to_vec())).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (at, bytes) in landing {
            // This is the line, not a wait for something.
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// 1,100 ms each way: everybody gets in at the first attempt, plays, and stays.
#[test]
fn a_round_trip_of_more_than_two_seconds_is_no_reason_to_stay_out() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    let port = slow_line(server.port, Duration::from_millis(1_100));
    let url = format!("ws://127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
    let output =
        command.args(["bots", "3", "--seconds", "8", "--url", &url]).output().expect("the bots play");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["3 of 3 in the world", "0 lost, 0 doubled", "connection  0 lost and restored"] {
        assert!(report.contains(wanted), "not {wanted:?}: {report}");
    }
}
