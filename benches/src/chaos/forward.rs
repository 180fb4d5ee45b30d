//! Forwards the connections between two nodes, with a delay, and holds what travels one way: what a kernel without `netem` cannot do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::stage::look_on;

/// Bytes read at a time, and pieces that wait at most: a sender that is faster waits, as in a network.
const PIECE: usize = 16 * 1024;
const WAITING_MAX: usize = 1_024;
/// Between two looks at whether something is still held.
const LOOK: Duration = Duration::from_millis(2);

/// What happens to the connections that one node makes to another: there and back.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) delay_ms: AtomicU64,
    pub(super) held: [AtomicBool; 2],
}

/// Listens at an address of this machine and forwards what comes there. Its threads end with the process.
pub(super) struct Forwarder {
    pub(super) port: u16,
    pub(super) gate: Arc<Gate>,
}

impl Forwarder {
    pub(super) fn start(host: Ipv4Addr, to: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind((host, 0))?;
        let (port, gate) = (listener.local_addr()?.port(), Arc::<Gate>::default());
        let shared = Arc::clone(&gate);
        Builder::new().name("forward".into()).spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                // A node that does not run refuses, and so does this.
                let Ok(there) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else { continue };
                // A connection that cannot be doubled is dropped, which its node notices.
                let _ = join(&from, &there, &shared);
            }
        })?;
        Ok(Self { port, gate })
    }
}

fn join(one: &TcpStream, other: &TcpStream, gate: &Arc<Gate>) -> std::io::Result<()> {
    for (way, from, to) in [(0, one, other), (1, other, one)] {
        from.set_nodelay(true)?;
        let (from, to, gate) = (from.try_clone()?, to.try_clone()?, Arc::clone(gate));
        let (tx, rx) = sync_channel(WAITING_MAX);
        Builder::new().name("forward-in".into()).spawn(move || take(from, &tx))?;
        Builder::new().name("forward-out".into()).spawn(move || give(to, &rx, &gate, way))?;
    }
    Ok(())
}

fn take(mut from: TcpStream, to: &SyncSender<(Instant, Vec<u8>)>) {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if to.send((Instant::now(), piece[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn give(mut to: TcpStream, from: &Receiver<(Instant, Vec<u8>)>, gate: &Gate, way: usize) {
    while let Ok((came, piece)) = from.recv() {
        let due = came + Duration::from_millis(gate.delay_ms.load(Relaxed));
        look_on(due.saturating_duration_since(Instant::now()));
        while gate.held[way].load(Relaxed) {
            look_on(LOOK);
        }
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    // The other end hears it, whichever side ended.
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_later_and_the_other_way_is_open() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let to = listener.local_addr().expect("an address");
        let forwarder = Forwarder::start(Ipv4Addr::LOCALHOST, to).expect("it listens");
        let mut one = TcpStream::connect((Ipv4Addr::LOCALHOST, forwarder.port)).expect("it forwards");
        let (mut other, _) = listener.accept().expect("it comes");
        let mut read = [0; 2];
        one.write_all(b"ab").expect("open");
        other.read_exact(&mut read).expect("it arrives");
        forwarder.gate.held[0].store(true, Relaxed);
        one.write_all(b"cd").expect("open");
        other.write_all(b"ef").expect("open");
        one.read_exact(&mut read).expect("the way back is open");
        assert_eq!(&read, b"ef");
        other.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
        assert!(other.read_exact(&mut read).is_err(), "it is held");
        forwarder.gate.held[0].store(false, Relaxed);
        other.set_read_timeout(None).expect("no time");
        other.read_exact(&mut read).expect("it arrives");
        assert_eq!(&read, b"cd");
        drop(one);
        assert_eq!(other.read(&mut read).expect("it hears"), 0, "the end arrives too");
    }
}
