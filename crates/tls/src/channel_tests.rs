//! A socket takes what it likes, when it likes: nothing is lost, and nothing comes twice.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::{provider, server_name};

/// A socket whose peer takes some bytes now and then.
#[derive(Default)]
struct Small {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.len().min(self.room);
        if part == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= part;
        self.taken.extend_from_slice(&bytes[..part]);
        Ok(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends, after their handshake.
fn pair() -> [Channel; 2] {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["here".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let versions = [&TLS13];
    let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&versions);
    let server = server.expect("TLS 1.3").with_no_client_auth();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let server = Arc::new(server.with_single_cert(vec![certificate], key).expect("its key"));
    let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&versions);
    let client = client.expect("TLS 1.3").with_root_certificates(roots).with_no_client_auth();
    let mut server = Channel::from(ServerConnection::new(server).expect("settings"));
    let name = server_name("here").expect("a name");
    let mut client = Channel::client(Arc::new(client), name).expect("settings");
    for _ in 0..4 {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    [server, client]
}

fn carry(from: &mut Channel, to: &mut Channel) {
    let mut socket = Small { room: usize::MAX, ..Small::default() };
    from.flush(&mut socket).expect("there is room");
    to.open(&socket.taken, &mut Vec::new()).expect("a handshake");
}

#[test]
fn what_the_socket_does_not_take_waits() {
    let [mut server, mut client] = pair();
    let said: Vec<u8> = (0..600_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let (mut left, mut heard) = (&said[..], Vec::new());
    let mut rounds = 0_usize;
    while !left.is_empty() || server.is_pending() {
        rounds += 1;
        // From nothing at all to some kilobytes, and never a record as a whole.
        let mut socket = Small { room: [0, 1, 700, 0, 5_000, 13][rounds % 6], ..Small::default() };
        left = &left[server.seal(left).expect("no fault")..];
        match server.flush(&mut socket) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(rounds < 100_000, "it gets on");
        assert!(!client.open(&socket.taken, &mut heard).expect("whole records, in order"), "it goes on");
    }
    assert!(heard == said, "{} bytes of {}", heard.len(), said.len());
}

/// What waits is bounded: the caller keeps the rest.
#[test]
fn a_socket_that_takes_nothing_bounds_what_is_taken_from_the_caller() {
    let [mut server, _client] = pair();
    let mut socket = Small::default();
    let mut taken = 0;
    for _ in 0..100 {
        taken += server.seal(&[7; 16_384]).expect("no fault");
        assert_eq!(server.flush(&mut socket).expect_err("it is full").kind(), ErrorKind::WouldBlock);
    }
    assert!(taken <= 64 << 10, "{taken} bytes are taken");
}
