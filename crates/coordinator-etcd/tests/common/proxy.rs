//! A way to a server that can go wrong: connections that stay open and carry nothing, and bytes that come late.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A proxy on loopback. Its threads live as long as the test.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Connections that were accepted so far.
    count: AtomicU64,
    /// Connections up to this number carry nothing any more.
    silent: AtomicU64,
    /// Each piece of data is held back this long, ms.
    delay_ms: AtomicU64,
}

impl Proxy {
    /// A proxy to the server at `endpoint`, such as `http://127.0.0.1:2379`.
    pub(crate) fn to(endpoint: &str) -> Self {
        let (_, address) = endpoint.split_once("://").expect("an endpoint");
        let server: SocketAddr = address.parse().expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let number = shared.count.fetch_add(1, Ordering::AcqRel) + 1;
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let state = Arc::clone(&shared);
                    std::thread::spawn(move || carry(from, to, &state, number));
                }
            }
        });
        Self { port, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on the connections that are open carry nothing, in either direction. New ones are as good as before.
    pub(crate) fn silence(&self) {
        self.state.silent.store(self.state.count.load(Ordering::Acquire), Ordering::Release);
    }

    pub(crate) fn delay(&self, ms: u64) {
        self.state.delay_ms.store(ms, Ordering::Release);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, number: u64) {
    let mut bytes = [0; 16 * 1_024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        // What the proxy is for: a slow way.
        std::thread::sleep(Duration::from_millis(state.delay_ms.load(Ordering::Acquire)));
        if number <= state.silent.load(Ordering::Acquire) {
            continue;
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    if number > state.silent.load(Ordering::Acquire) {
        // The other side may be gone already.
        let _ = to.shutdown(Shutdown::Both);
    }
}
