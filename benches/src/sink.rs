//! Reads what the limit writes, with the same socket as the bots, and may send a move ten times per second as they do.

use std::time::{Duration, Instant};

use clap::Args;
use gundo_bots::{Address, Chance, Incoming, Socket};
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, Move};
use mio::{Events, Interest, Poll, Token};

use crate::Failure;
use crate::serve::say;

/// Turns between two moves of one client, like those of the bots' worker.
const SLOTS: usize = 20;

#[derive(Args)]
pub(crate) struct SinkArgs {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) clients: usize,
    #[arg(long)]
    pub(crate) settle_seconds: f64,
    #[arg(long)]
    pub(crate) seconds: f64,
    #[arg(long)]
    pub(crate) moves: bool,
}

pub(crate) fn sink(args: &SinkArgs) -> Result<(), Failure> {
    gundo_bots::raise_open_files(args.clients);
    let address: Address = args.url.parse()?;
    let to = address.authority().parse()?;
    let mut poll = Poll::new()?;
    let mut sockets = Vec::with_capacity(args.clients);
    let mut events = Events::with_capacity(1_024);
    let mut scratch = vec![0; 128 * 1024];
    let (mut open, mut messages, mut measuring) = (0, 0u64, false);
    let wish = ClientMessage {
        r#move: Some(Move { seq: 1_000, x: 90_000, y: 90_000, heading: 64, speed: 20, ..Move::default() }),
        ..Default::default()
    }
    .encode_to_vec();
    let begun = Instant::now();
    let mut filled = None;
    let mut slot = 0;
    loop {
        // One after the other, as the limit accepts them.
        if sockets.len() < args.clients && open == sockets.len() {
            let mut socket =
                Socket::connect(to, &address.authority(), &address.path, Chance::new(sockets.len() as u64))?;
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(socket.stream(), Token(sockets.len()), both)?;
            sockets.push(socket);
        }
        if open == args.clients && filled.is_none() {
            filled = Some(Instant::now());
        }
        let since = filled.map_or(0.0, |t: Instant| t.elapsed().as_secs_f64());
        if !measuring && since >= args.settle_seconds && filled.is_some() {
            measuring = true;
            messages = 0;
            say("phase Measuring")?;
        }
        if measuring && since >= args.settle_seconds + args.seconds {
            say("phase Draining")?;
            say(&format!("messages {messages}"))?;
            return Ok(());
        }
        poll.poll(&mut events, Some(Duration::from_millis(5)))?;
        for event in &events {
            let socket = &mut sockets[event.token().0];
            if event.is_writable() {
                socket.handle_writable()?;
            }
            socket.read(&mut scratch, event.is_read_closed(), &mut |incoming| match incoming {
                Incoming::Open => open += 1,
                Incoming::Message(_) => messages += 1,
            })?;
        }
        let now_slot = (begun.elapsed().as_millis() / 5) as usize;
        if args.moves && filled.is_some() {
            for slot in slot..now_slot {
                for at in (slot % SLOTS..sockets.len()).step_by(SLOTS) {
                    sockets[at].send(&wish)?;
                }
            }
        }
        slot = now_slot;
    }
}
