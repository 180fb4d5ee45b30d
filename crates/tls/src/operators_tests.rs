//! Who is who at the address for operators, and what those hear who are not let in.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::{Channel, server_name};

/// A world's authority.
struct World {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let signed = params.self_signed(&keys).expect("signed");
        std::fs::write(directory.path().join("authority.pem"), signed.pem()).expect("written");
        Self { directory, issuer: Issuer::new(params, keys) }
    }

    /// The files of somebody with this name, valid for so many days.
    fn sign(&self, name: &str, days: i64) -> OperatorFiles {
        let keys = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - Duration::days(9), now + Duration::days(days));
        params.extended_key_usages = match node_of(name) {
            Some(_) => vec![Usage::ServerAuth, Usage::ClientAuth],
            None => vec![Usage::ClientAuth],
        };
        let signed = params.signed_by(&keys, &self.issuer).expect("signed");
        let file = |end: &str| self.directory.path().join(format!("{}{end}", name.replace('*', "star")));
        let own = KeyFiles { certificate: file(".pem"), key: file("-key.pem") };
        std::fs::write(&own.certificate, signed.pem()).expect("written");
        std::fs::write(&own.key, keys.serialize_pem()).expect("written");
        OperatorFiles { authority: self.directory.path().join("authority.pem"), own }
    }
}

/// Who the server sees in its client, or what the client hears.
fn meet(server: &OperatorFiles, authority: &Path, own: Option<&KeyFiles>) -> Result<Option<Role>, String> {
    let server = OperatorTls::load(server.clone()).map_err(|fault| fault.to_string())?;
    let config = operator_client(authority, own).map_err(|fault| fault.to_string())?;
    let mut client = Channel::client(config, server_name("192.0.2.7").expect("a name")).expect("settings");
    let mut server = rustls::ServerConnection::new(server.config()).expect("settings");
    client.seal(b"hello").expect("room");
    let words = |error: &Error| operator_words(error).unwrap_or_else(|| error.to_string());
    let (mut heard, mut ignored) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.flush(&mut up).expect("memory");
        let mut up = up.as_slice();
        while !up.is_empty() {
            server.read_tls(&mut up).expect("memory");
            // What it says of the client, the client hears.
            let _ = server.process_new_packets();
        }
        let _ = std::io::Read::read_to_end(&mut server.reader(), &mut heard);
        while server.wants_write() {
            server.write_tls(&mut down).expect("memory");
        }
        if let Err(error) = client.open(&down, &mut ignored) {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            return Err(inner.map_or_else(|| error.to_string(), words));
        }
    }
    assert_eq!(heard, b"hello");
    Ok(server.peer_certificates().map(|all| role_of(&all[0])))
}

#[test]
fn who_is_who() {
    let world = World::new();
    let node = world.sign("node-7.gundo", 30);
    let seen = |name: &str| meet(&node, &node.authority, Some(&world.sign(name, 30).own)).expect("heard");
    assert_eq!(seen("ada.operator.gundo"), Some(Role::Operator("ada".to_owned())));
    assert_eq!(seen("node-2.gundo"), Some(Role::Node(2)), "a node is no operator");
    for other in ["ada.gundo", "operator.gundo", "*.operator.gundo", "ada.b.operator.gundo", "node-x.gundo"] {
        assert_eq!(seen(other), Some(Role::Other), "{other}");
    }
    assert_eq!(meet(&node, &node.authority, None), Ok(None), "without a certificate, with a token perhaps");
}

#[test]
fn who_is_not_let_in_hears_why() {
    let (ours, theirs) = (World::new(), World::new());
    let node = ours.sign("node-7.gundo", 30);
    let says = |own: &OperatorFiles| meet(&node, &node.authority, Some(&own.own)).expect_err("refused");
    let expired = says(&ours.sign("ada.operator.gundo", -1));
    assert!(expired.contains("your certificate, which has expired"), "{expired}");
    let foreign = says(&theirs.sign("ada.operator.gundo", 30));
    assert!(foreign.contains("another world's authority"), "{foreign}");
    // The other way round: the client lets nobody pretend to be a node.
    let ada = ours.sign("ada.operator.gundo", 30);
    let stranger =
        meet(&theirs.sign("node-7.gundo", 30), &ada.authority, Some(&ada.own)).expect_err("foreign");
    assert!(stranger.contains("no node of your world"), "{stranger}");
    let no_node = OperatorTls::load(ada.clone()).err().map(|fault| fault.to_string()).unwrap_or_default();
    assert!(no_node.contains("ada.operator.gundo.pem is not usable: operators would say"), "{no_node}");
    let old = OperatorTls::load(ours.sign("node-8.gundo", -1)).err().map(|fault| fault.to_string());
    assert!(old.is_some_and(|why| why.contains("has expired")));
    let swapped = KeyFiles { key: node.own.key.clone(), ..ada.own.clone() };
    let why = meet(&node, &node.authority, Some(&swapped)).expect_err("another key");
    assert!(why.contains("not the key of the certificate"), "{why}");
}

#[test]
fn names_of_operators_are_plain() {
    assert_eq!(operator_name("ada-2").as_deref(), Some("ada-2.operator.gundo"));
    for bad in ["", "-", "ada-", "Ada", "a.b", "*", "ä", &"a".repeat(33)] {
        assert_eq!(operator_name(bad), None, "{bad}");
    }
}
