//! The limit: the smallest program that writes the same bytes in the same number of messages to the same number of
//! WebSockets. No game, no runtime, no queue; one thread, one `write` per client and tick.
//!
//! With `--reads` it also reads the clients' messages, one `read` per client and tick, and ignores them: any server must
//! pay that much to let its clients speak.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;

use crate::Failure;
use crate::serve::say;

#[derive(Args)]
pub(crate) struct LimitArgs {
    #[arg(long)]
    pub(crate) clients: usize,
    /// Bytes of one message, WebSocket header included.
    #[arg(long)]
    pub(crate) bytes: usize,
    /// Messages per second and client.
    #[arg(long)]
    pub(crate) hz: f64,
    #[arg(long)]
    pub(crate) reads: bool,
}

struct Client {
    stream: TcpStream,
    /// The rest of the message before: no message is torn.
    rest: Vec<u8>,
}

pub(crate) fn limit(args: &LimitArgs) -> Result<(), Failure> {
    gundo_bots::raise_open_files(args.clients);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&format!("ready ws://{}", listener.local_addr()?))?;
    let mut clients = Vec::with_capacity(args.clients);
    while clients.len() < args.clients {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let ws = tungstenite::accept(stream).map_err(|e| e.to_string())?;
        let stream = ws.into_inner();
        stream.set_nonblocking(true)?;
        clients.push(Client { stream, rest: Vec::new() });
    }
    say("full")?;
    let message = frame(args.bytes);
    let step = Duration::from_secs_f64(1.0 / args.hz);
    let mut due = Instant::now();
    let mut scratch = vec![0; 4_096];
    while !clients.is_empty() {
        clients.retain_mut(|client| (!args.reads || client.take(&mut scratch)) && client.give(&message));
        due += step;
        // Paced like the ticks of a server.
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

impl Client {
    /// Writes one message; `false` if the client is gone.
    fn give(&mut self, message: &[u8]) -> bool {
        if self.rest.is_empty() {
            return match self.stream.write(message) {
                Ok(n) => {
                    self.rest.extend_from_slice(&message[n..]);
                    true
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.rest.extend_from_slice(message);
                    true
                }
                Err(_) => false,
            };
        }
        // The client is slow: it still gets the same volume.
        self.rest.extend_from_slice(message);
        match self.stream.write(&self.rest) {
            Ok(n) => {
                self.rest.drain(..n);
                true
            }
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        }
    }

    fn take(&mut self, scratch: &mut [u8]) -> bool {
        match self.stream.read(scratch) {
            Ok(n) => n > 0,
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// A binary WebSocket frame of `bytes` in total (RFC 6455, section 5.2).
fn frame(bytes: usize) -> Vec<u8> {
    let mut out = vec![0x82];
    match bytes {
        0..=127 => out.push(bytes.saturating_sub(2) as u8),
        128..=65_539 => {
            out.push(126);
            out.extend(((bytes - 4) as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((bytes as u64 - 10).to_be_bytes());
        }
    }
    out.resize(bytes.max(out.len()), 0);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn frames_have_the_length_asked_for() {
        for bytes in [2, 127, 128, 200, 8_000, 65_539, 70_000] {
            assert_eq!(super::frame(bytes).len(), bytes);
        }
    }
}
