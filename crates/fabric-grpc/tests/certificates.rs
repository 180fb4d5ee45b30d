//! Who is let in by its certificate, what the others are told, and certificates that change while nodes run.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Process, pair, settings, until};
use gundo_fabric_grpc::{CertFault, DialFault, FabricFault, GrpcFabric, Whose, certs};
use gundo_types::NodeId;
use tempfile::{TempDir, tempdir};

/// A world's certificates for nodes 1 and 2.
fn world() -> TempDir {
    let directory = tempdir().expect("a directory");
    assert!(certs::make_authority(directory.path()).expect("it is made"));
    for node in [1, 2] {
        certs::make_node(directory.path(), NodeId(node), 30).expect("it is made");
    }
    directory
}

fn both_up([one, two]: &[Process; 2]) {
    until("the link is up", || one.is_up(2) && two.is_up(1));
}

fn copy(from: &Path, to: &Path, names: &[(&str, &str)]) {
    for (name, as_name) in names {
        let beside = to.join("copied");
        fs::copy(from.join(name), &beside).expect("it is copied");
        fs::rename(&beside, to.join(as_name)).expect("it is moved");
    }
}

/// What node 2 says when it cannot reach node 1 with these certificates, and what node 1 sends.
fn trouble(one: Option<&Path>, two: Option<&Path>) -> String {
    let ([one, two], _handles) = pair((settings(1, one), settings(2, two)), |address| address);
    until("it does not reach the other", || {
        let counts = two.fabric.counts();
        counts.dials_failed + counts.refused_by_peer + counts.untrusted > 1
    });
    assert!(!one.is_up(2) && one.heard.take().is_empty() && two.heard.take().is_empty());
    two.trouble(1)
}

#[test]
fn what_is_made_is_private_and_not_made_twice() {
    let world = world();
    for file in ["authority.pem", "authority-key.pem", "node-1.pem", "node-1-key.pem"] {
        let mode = fs::metadata(world.path().join(file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let before = fs::read(world.path().join("authority.pem")).expect("it is there");
    assert!(!certs::make_authority(world.path()).expect("it is there"), "an authority stays");
    assert_eq!(fs::read(world.path().join("authority.pem")).expect("it is there"), before);
    fs::remove_file(world.path().join("authority.pem")).expect("it was there");
    let error = certs::make_authority(world.path()).expect_err("half of it");
    assert!(error.to_string().contains("authority.pem is missing"), "{error}");
    let nowhere = certs::make_node(&world.path().join("nowhere"), NodeId(1), 30).expect_err("no authority");
    assert!(matches!(nowhere, CertFault::File(gundo_tls::FileFault::Read { .. })), "{nowhere}");
}

#[test]
fn a_foreign_certificate_is_refused_in_words() {
    let (ours, theirs) = (world(), world());
    let said = trouble(Some(ours.path()), Some(theirs.path()));
    assert!(said.contains("foreign"), "{said}");
    // Node 2 trusts node 1, and shows a certificate that node 1 does not know.
    let mixed = tempdir().expect("a directory");
    copy(ours.path(), mixed.path(), &[("authority.pem", "authority.pem")]);
    let both =
        [ours.path(), theirs.path()].map(|path| fs::read(path.join("authority.pem")).expect("it is there"));
    fs::write(mixed.path().join("authority.pem"), both.concat()).expect("it is written");
    copy(theirs.path(), mixed.path(), &[("node-2.pem", "node-2.pem"), ("node-2-key.pem", "node-2-key.pem")]);
    let said = trouble(Some(ours.path()), Some(mixed.path()));
    assert!(said.contains("it refuses this node's certificate"), "{said}");
}

#[test]
fn a_certificate_is_good_for_its_node_only() {
    let world = world();
    let node_3 = certs::make_node(world.path(), NodeId(3), 30).expect("it is made");
    let mut two = settings(2, Some(world.path()));
    two.tls = Some(node_3.clone());
    let Err(FabricFault::Certificates(fault)) = GrpcFabric::start(two) else {
        panic!("it is another node's")
    };
    assert!(fault.to_string().contains("that of another node"), "{fault}");
    // Node 3 has a certificate, and says that it is node 2.
    let mut three = settings(3, Some(world.path()));
    three.identity.node = NodeId(3);
    let (one, _of_one) = Process::start(settings(1, Some(world.path())), 11);
    let (three, _of_three) = Process::start(three, 13);
    three.fabric.set_peers(&[one.at(1, one.fabric.address())]);
    until("node 3 is taken", || three.is_up(1));
    // Node 1 is not where node 2 is said to be.
    three.fabric.set_peers(&[one.at(1, one.fabric.address()), {
        let mut two = one.at(2, one.fabric.address());
        two.incarnation = 12;
        two
    }]);
    until("it is refused", || three.trouble(2).contains("that of another node"));
}

#[test]
fn both_sides_have_tls_or_none() {
    let world = world();
    let said = trouble(Some(world.path()), None);
    assert!(!said.is_empty());
    let said = trouble(None, Some(world.path()));
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[test]
fn an_expired_certificate_is_told_at_the_start() {
    let world = world();
    certs::make_node(world.path(), NodeId(1), 0).expect("it is made");
    until("it has expired", || match GrpcFabric::start(settings(1, Some(world.path()))) {
        Ok(_) => false,
        Err(fault) => {
            assert!(
                fault.to_string().contains(
                    "node-1.pem is not usable: peers of node 1 would say: its certificate has expired"
                ),
                "{fault}"
            );
            true
        }
    });
    for (file, contents) in
        [("node-1.pem", ""), ("node-1.pem", "x"), ("node-1-key.pem", ""), ("authority.pem", "")]
    {
        let world = self::world();
        fs::write(world.path().join(file), contents).expect("it is written");
        let Err(fault) = GrpcFabric::start(settings(1, Some(world.path()))) else {
            panic!("{file} is broken")
        };
        assert!(fault.to_string().contains(file), "{fault}");
    }
    let world = self::world();
    copy(world.path(), world.path(), &[("node-2-key.pem", "node-1-key.pem")]);
    let Err(fault) = GrpcFabric::start(settings(1, Some(world.path()))) else { panic!("another key") };
    assert!(fault.to_string().contains("not the key of the certificate"), "{fault}");
}

#[test]
fn certificates_change_while_nodes_run() {
    let (ours, theirs) = (world(), world());
    let late = tempdir().expect("a directory");
    let names = ["authority.pem", "node-2.pem", "node-2-key.pem"].map(|name| (name, name));
    copy(theirs.path(), late.path(), &names);
    let (processes, _handles) =
        pair((settings(1, Some(ours.path())), settings(2, Some(late.path()))), |address| address);
    until("it is foreign", || processes[1].trouble(1).contains("foreign"));
    // Files that do not fit together change nothing.
    fs::write(late.path().join("node-2.pem"), "nothing").expect("it is written");
    copy(ours.path(), late.path(), &names);
    both_up(&processes);
}

/// A process with node 3's certificate says that it is node 2.
#[test]
fn who_says_to_be_another_node_is_refused() {
    use common::rude::{PATH, Rude, hello, parcel_of, say};
    use gundo_wire::Message;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    let world = world();
    let files = certs::make_node(world.path(), NodeId(3), 30).expect("it is made");
    let (one, _of_one) = Process::start(settings(1, Some(world.path())), 11);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.authority).expect("it is made")).expect("an authority");
    let own = CertificateDer::from_pem_file(&files.certificate).expect("it is made");
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("it is made");
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own], key)
        .expect("they fit");
    let (connector, address) =
        (tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)), one.fabric.address());
    for (node, code) in [(2, Some("wrong_certificate")), (3, None)] {
        let (sender, bytes) = tokio::sync::mpsc::unbounded_channel();
        // It only asks.
        let asks = gundo_wire::fabric::Hello { node, incarnation: 0, lane: 0, to_incarnation: 0, ..hello(1) };
        sender.send(parcel_of(asks)).expect("it is open");
        let answer = Rude::new().runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
            let name = ServerName::try_from("node-1.gundo").expect("a name");
            say(connector.connect(name, socket).await.expect("TLS"), PATH, bytes).await
        });
        let parcel = gundo_wire::fabric::Parcel::decode(&answer[5..]).expect("a parcel");
        assert_eq!(parcel.refused.map(|refused| refused.code).as_deref(), code);
    }
}

/// What cannot get better by trying again is told apart from a peer that is away, and from whose certificate it is follows what to do.
#[test]
fn an_untrusted_certificate_is_told_from_a_peer_that_is_away() {
    let (ours, theirs) = (world(), world());
    let ask = |one: Option<&Path>, two: Option<&Path>| {
        let ([_one, two], _handles) = pair((settings(1, one), settings(2, two)), |address| address);
        let address = _one.fabric.address().to_string();
        two.fabric.ask(NodeId(1), &address).expect_err("not that way")
    };
    let fault = ask(Some(ours.path()), Some(theirs.path()));
    assert!(matches!(fault, DialFault::Untrusted { whose: Whose::Peers, .. }), "{fault:?}");
    let mixed = tempdir().expect("a directory");
    let both =
        [ours.path(), theirs.path()].map(|path| fs::read(path.join("authority.pem")).expect("it is there"));
    fs::write(mixed.path().join("authority.pem"), both.concat()).expect("it is written");
    copy(theirs.path(), mixed.path(), &[("node-2.pem", "node-2.pem"), ("node-2-key.pem", "node-2-key.pem")]);
    let fault = ask(Some(ours.path()), Some(mixed.path()));
    assert!(matches!(fault, DialFault::Untrusted { whose: Whose::Own, .. }), "{fault:?}");
    let fault = ask(None, Some(ours.path()));
    assert!(matches!(fault, DialFault::Unreachable(_)), "it speaks no TLS: {fault:?}");
}
