//! A server's certificate: how it is read, refused and read again.

use std::path::Path;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::{Channel, Trust, client_config, server_name};

/// Makes a certificate for `localhost` that signs itself, valid from and to these days from now.
fn make(directory: &Path, days: (i64, i64), usages: Vec<ExtendedKeyUsagePurpose>) -> KeyFiles {
    let keys = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now + Duration::days(days.0), now + Duration::days(days.1));
    params.extended_key_usages = usages;
    let signed = params.self_signed(&keys).expect("signed");
    let files = KeyFiles { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.certificate, signed.pem()).expect("written");
    std::fs::write(&files.key, keys.serialize_pem()).expect("written");
    files
}

/// What the client's program and the server say to each other, or why they do not.
fn talk(server: &ServerTls, authority: &Path) -> Result<Vec<u8>, String> {
    let trust = Trust::Authority(authority.to_owned());
    let config = client_config(&trust).map_err(|fault| fault.to_string())?;
    let name = server_name("localhost").expect("a name");
    let mut client = Channel::client(config, name).expect("settings");
    let mut server: Channel = rustls::ServerConnection::new(server.config()).expect("settings").into();
    assert_eq!(client.seal(b"hello").expect("room"), 5, "it waits for the handshake");
    let (mut heard, mut ignored) = (Vec::new(), Vec::new());
    while client.is_pending() || server.is_pending() {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.flush(&mut up).expect("memory");
        let opened = server.open(&up, &mut heard);
        server.flush(&mut down).expect("memory");
        // What the client says of the certificate comes first.
        client.open(&down, &mut ignored).map_err(|error| error.to_string())?;
        opened.map_err(|error| error.to_string())?;
    }
    Ok(heard)
}

#[test]
fn client_and_server_talk() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = make(directory.path(), (-1, 30), Vec::new());
    let server = ServerTls::load(files.clone()).expect("good");
    assert_eq!(talk(&server, &files.certificate).expect("trusted"), b"hello");
    let other = tempfile::tempdir().expect("a directory");
    let stranger = make(other.path(), (-1, 30), Vec::new());
    let why = talk(&server, &stranger.certificate).expect_err("not trusted");
    assert!(why.contains("certificate"), "{why}");
}

#[test]
fn what_no_client_would_take_is_refused_in_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let says = |files: &KeyFiles| ServerTls::load(files.clone()).err().map(|fault| fault.to_string());
    for (days, usages, wanted) in [
        ((-9, -1), vec![], "expired"),
        ((1, 9), vec![], "not valid yet"),
        ((-1, 9), vec![ExtendedKeyUsagePurpose::ClientAuth], "not one for servers"),
    ] {
        let why = says(&make(directory.path(), days, usages)).expect(wanted);
        assert!(why.contains(wanted) && why.contains("certificate.pem"), "{why}");
    }
    let good = make(directory.path(), (-1, 9), vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(says(&good), None);
    let own_authority = tempfile::tempdir().expect("a directory");
    let keys = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signed = params.self_signed(&keys).expect("signed");
    let its = KeyFiles {
        certificate: own_authority.path().join("certificate.pem"),
        key: own_authority.path().join("key.pem"),
    };
    std::fs::write(&its.certificate, signed.pem()).expect("written");
    std::fs::write(&its.key, keys.serialize_pem()).expect("written");
    assert_eq!(says(&its), None, "browsers take it");
    let other = tempfile::tempdir().expect("a directory");
    let foreign = KeyFiles { key: make(other.path(), (-1, 9), vec![]).key, ..good.clone() };
    let why = says(&foreign).expect("another key");
    assert!(why.contains("not the key of the certificate"), "{why}");
    let swapped = KeyFiles { certificate: good.key.clone(), key: good.certificate.clone() };
    assert!(says(&swapped).expect("swapped").contains("no certificate"));
    let missing = KeyFiles { key: directory.path().join("none"), ..good };
    assert!(says(&missing).expect("missing").contains("cannot read"));
}

#[test]
fn files_are_read_again_and_bad_ones_change_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = make(directory.path(), (-1, 30), Vec::new());
    let server = ServerTls::load(files.clone()).expect("good");
    let first = server.config();
    server.look();
    assert!(Arc::ptr_eq(&first, &server.config()), "nothing has changed");
    std::fs::write(&files.certificate, "damaged on the way, and of another length").expect("written");
    server.look();
    assert!(Arc::ptr_eq(&first, &server.config()), "the earlier one stays");
    make(directory.path(), (-1, 60), Vec::new());
    server.look();
    assert_eq!(talk(&server, &files.certificate).expect("the new one"), b"hello");
}
