//! What is wrong with an etcd, or with how we ask for it: one sentence each, which says what to do, and no secret.

mod common;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Engine, MemoryRows};
use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use gundo_coordinator::CallError;
use gundo_coordinator_etcd::{EtcdCoordinator, EtcdError, EtcdSettings, EtcdTls, EtcdUser};
use gundo_engines::authority::Authority;
use gundo_engines::etcd::{Etcd, EtcdCertificates, EtcdOptions};

const SECRET: &str = "correct horse";

fn connect(settings: &EtcdSettings) -> Result<EtcdCoordinator, EtcdError> {
    EtcdCoordinator::connect(settings.clone(), Arc::<MemoryRows>::default())
}

/// The sentence with which it fails.
fn refusal(settings: &EtcdSettings) -> String {
    let sentence = connect(settings).err().expect("it is refused").to_string();
    assert!(!sentence.contains('\n') && !sentence.contains(SECRET), "{sentence}");
    sentence
}

fn assert_says(sentence: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence:?} does not say {parts:?}");
}

#[test]
fn an_endpoint_where_nobody_is() {
    let port = gundo_engines::free_port().expect("a port");
    let endpoint = format!("http://127.0.0.1:{port}");
    let sentence = refusal(&EtcdSettings::new(vec![endpoint.clone()], "w1"));
    assert_says(&sentence, &[&endpoint, "refused"]);
    let sentence = refusal(&EtcdSettings::new(vec!["http://no-such-host.invalid:2379".into()], "w1"));
    assert_says(&sentence, &["no-such-host.invalid"]);
}

#[test]
fn an_endpoint_that_says_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let sentence = refusal(&EtcdSettings::new(vec![endpoint.clone()], "w1"));
    assert_says(&sentence, &["does not answer at", &endpoint]);
}

#[test]
fn one_endpoint_of_another_cluster() {
    let (a, b) = (Engine::start(1), Engine::start(1));
    let endpoints = [a.etcd.endpoints(), b.etcd.endpoints()].concat();
    assert_says(&refusal(&EtcdSettings::new(endpoints, "w1")), &["another cluster"]);
}

#[test]
fn the_prefix_of_another_world() {
    let engine = Engine::start(1);
    let mut settings = EtcdSettings::new(engine.etcd.endpoints(), "w1");
    connect(&settings).expect("it is this world's from now on");
    connect(&settings).expect("so it may come back");
    settings.world = "w2".into();
    assert_says(&refusal(&settings), &["/gundo/w1/", "world w1", "not to w2"]);
}

#[test]
fn cells_and_worlds_on_one_etcd_do_not_meet() {
    let engine = Engine::start(1);
    let first = EtcdSettings::new(engine.etcd.endpoints(), "w1");
    let other_cell = EtcdSettings { cell: 1, ..first.clone() };
    let other_world = EtcdSettings::new(engine.etcd.endpoints(), "w2");
    for settings in [first, other_cell, other_world] {
        let coordinator = connect(&settings).expect("etcd is there");
        let caller = common::Caller(coordinator);
        assert_eq!(caller.view().epoch.0, 0, "nobody has joined here yet");
        assert_eq!(caller.join(&[1, 2]), [1, 2]);
        assert!(caller.try_renew(2).expect("it is asked"));
    }
}

/// Users of etcd: one for everything, and one for the keys of w1.
async fn make_users(endpoints: &[String]) {
    let mut client = Client::connect(endpoints, None).await.expect("etcd is there");
    for user in ["root", "ada"] {
        client.role_add(user).await.expect("a role");
        client.user_add(user, SECRET, None).await.expect("a user");
        client.user_grant_role(user, user).await.expect("granted");
    }
    let keys = Permission::new(PermissionType::Readwrite, "/gundo/w1/").with_prefix();
    client.role_grant_permission("ada", keys).await.expect("granted");
    client.auth_enable().await.expect("enabled");
}

#[test]
fn users_and_their_rights() {
    let mut engine = Engine::start(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let file = |name: &str, content: &str| {
        let path = engine.folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    };
    let user = |name: &str, password_file: PathBuf| Some(EtcdUser { name: name.into(), password_file });
    let (right, wrong) = (file("right", &format!("{SECRET}\n")), file("wrong", "battery staple"));
    let mut settings = EtcdSettings::new(engine.etcd.endpoints(), "w1");
    settings.user = user("ada", right.clone());
    assert!(!format!("{settings:?}").contains(SECRET));
    assert_says(&refusal(&settings), &["knows no users"]);

    runtime.block_on(make_users(&engine.etcd.endpoints()));
    let caller = common::Caller(connect(&settings).expect("she may"));
    let ids = caller.join(&[1, 2]);
    settings.user = None;
    assert_says(&refusal(&settings), &["wants a user"]);
    settings.user = user("ada", wrong);
    assert_says(&refusal(&settings), &["wrong user name or password"]);
    settings.user = user("eve", right.clone());
    assert_says(&refusal(&settings), &["wrong user name or password"]);
    settings.user = user("ada", "/nowhere/password".into());
    assert_says(&refusal(&settings), &["/nowhere/password"]);
    let elsewhere = EtcdSettings { prefix: "/gundo/w2".into(), user: user("ada", right), ..settings };
    assert_says(&refusal(&elsewhere), &["no right to these keys"]);

    // Tokens do not survive a restart of etcd.
    engine.etcd.kill(0);
    engine.etcd.start_member(0).expect("it starts");
    assert!(common::until("she is let in again", || caller.try_renew(ids[0]).ok()));

    // Her password changes while the coordinator runs: it says so, and goes on once the file has the new one.
    runtime.block_on(async {
        let options = ConnectOptions::new().with_user("root", SECRET);
        let mut root = Client::connect(engine.etcd.endpoints(), Some(options)).await.expect("etcd is there");
        root.user_change_password("ada", "new secret").await.expect("changed");
    });
    common::until("it is told", || match caller.try_renew(ids[0]) {
        Err(CallError::Failed { what }) => what.contains("wrong user name or password").then_some(()),
        _ => None,
    });
    std::fs::write(engine.folder.path().join("right"), "new secret").expect("written");
    assert!(common::until("she is let in again", || caller.try_renew(ids[0]).ok()));
}

#[test]
fn certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, foreign) = (
        Authority::new(folder.path(), "ours").expect("an authority"),
        Authority::new(folder.path(), "foreign").expect("an authority"),
    );
    let (certificate, key) = ours.sign("127.0.0.1").expect("signed");
    let tls = Some(EtcdCertificates { ca: ours.ca.clone(), certificate, key });
    let etcd =
        Etcd::start(folder.path(), 1, EtcdOptions { tls, ..EtcdOptions::default() }).expect("etcd starts");

    let mut settings = EtcdSettings::new(etcd.endpoints(), "w1");
    let with = |ca: &Path, identity| Some(EtcdTls { ca: ca.to_owned(), identity });
    settings.tls = with(&ours.ca, Some(ours.sign("node1").expect("signed")));
    let caller = common::Caller(connect(&settings).expect("both trust each other"));
    let ids = caller.join(&[1]);
    assert!(caller.try_renew(ids[0]).expect("it is asked"));
    let seen = caller.watch();
    seen.every_epoch_until(1);

    settings.tls = with(&foreign.ca, Some(ours.sign("node2").expect("signed")));
    assert_says(&refusal(&settings), &["its certificate is not accepted", "CA file"]);
    settings.tls = with(&ours.ca, Some(foreign.sign("node3").expect("signed")));
    assert_says(&refusal(&settings), &["accept our certificate", "trusted CA"]);
    settings.tls = with(&ours.ca, None);
    assert_says(&refusal(&settings), &["accept our certificate", "trusted CA"]);
    settings.tls = with(Path::new("/nowhere/ca.pem"), None);
    assert_says(&refusal(&settings), &["/nowhere/ca.pem"]);
    settings.tls = with(&folder.path().join("ours/node1.key"), None);
    assert_says(&refusal(&settings), &["certificate"]);

    let plain = EtcdSettings::new(vec![etcd.endpoints()[0].replace("https", "http")], "w1");
    assert_says(&refusal(&plain), &["https://"]);
    let engine = Engine::start(1);
    settings.endpoints = vec![engine.etcd.endpoints()[0].replace("http", "https")];
    settings.tls = with(&ours.ca, None);
    assert_says(&refusal(&settings), &["http://"]);
}
