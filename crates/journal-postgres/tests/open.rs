//! Everything that can be wrong with a database when a journal is opened: one sentence says what, and what to do.

mod common;

use std::process::Command;

use common::Server;
use gundo_engines::install;
use gundo_journal::{Fault, Journal};
use gundo_journal_postgres::{OpenError, Password, PostgresSettings, open};

/// Opens what cannot be opened.
fn refused(settings: PostgresSettings) -> (String, Box<OpenError>) {
    let Err(fault) = open(settings) else { panic!("it opens") };
    let line = fault.chain();
    assert!(!line.contains(gundo_engines::postgres::Postgres::PASSWORD), "{line}");
    let Fault::Open { source } = fault else { panic!("{line}") };
    (line, source.downcast().expect("an error of opening"))
}

macro_rules! assert_refused {
    ($settings:expr, $pattern:pat, $($word:expr),+) => {{
        let (line, why) = refused($settings);
        assert!(matches!(*why, $pattern), "{line}");
        $(assert!(line.contains($word), "{line}");)+
    }};
}

#[test]
fn each_trouble_has_its_sentence() {
    let server = Server::start();
    let with = |change: &dyn Fn(&mut PostgresSettings)| {
        let mut settings = server.settings();
        change(&mut settings);
        settings
    };
    let secret = server.dir.path().join("wrong");
    std::fs::write(&secret, "wrong").expect("writable");
    let wrong = with(&|s| s.password = Password::File(secret.clone()));
    assert_refused!(wrong, OpenError::Denied { .. }, "password authentication failed", "pg_hba.conf");
    let nowhere = with(&|s| s.server = s.server.replace("dbname=postgres", "dbname=nowhere"));
    assert_refused!(nowhere, OpenError::Denied { .. }, "\"nowhere\" does not exist");
    let port = gundo_engines::free_port().expect("a port");
    let away = with(&|s| s.server = format!("host=127.0.0.1 port={port} user=x"));
    assert_refused!(away, OpenError::Unreachable { .. }, "refused", "see that it runs");
    let no_file = with(&|s| s.password = Password::File("/nowhere/secret".into()));
    assert_refused!(no_file, OpenError::PasswordFile { .. }, "/nowhere/secret");
    let no_variable = with(&|s| s.password = Password::Env("GUNDO_TEST_NO_SUCH".into()));
    assert_refused!(no_variable, OpenError::PasswordEnv { .. }, "GUNDO_TEST_NO_SUCH");

    server.sql("CREATE ROLE careless LOGIN PASSWORD 'p'; ALTER ROLE careless SET synchronous_commit = off");
    server.sql("CREATE ROLE plain LOGIN PASSWORD 'p'; CREATE ROLE reader LOGIN PASSWORD 'p'");
    server.sql("ALTER ROLE reader SET default_transaction_read_only = on");
    let role = |name: &str| {
        let mut settings = server.settings();
        settings.server = settings.server.replace("user=postgres", &format!("user={name} password=p"));
        settings.password = Password::None;
        settings
    };
    assert_refused!(role("careless"), OpenError::Careless { .. }, "synchronous_commit = off");
    assert_refused!(role("plain"), OpenError::Rights { .. }, "permission denied", "AUTHORIZATION");
    assert_refused!(role("reader"), OpenError::ReadOnly { .. }, "takes no writes");
    let mut owner = role("plain");
    owner.schema = "owned".into();
    server.sql("CREATE SCHEMA owned AUTHORIZATION plain");
    drop(open(owner.clone()).expect("its own schema is enough"));
    drop(open(owner).expect("also the second time"));

    let foreign = server.settings();
    server.sql(&format!("CREATE SCHEMA {0}; CREATE TABLE {0}.customers (id int)", foreign.schema));
    assert_refused!(foreign, OpenError::NotAJournal { .. }, "not Gundo's");
    let newer = server.settings();
    drop(open(newer.clone()).expect("a new world"));
    server.sql(&format!("UPDATE {}.meta SET value = '99' WHERE key = 'format'", newer.schema));
    assert_refused!(newer.clone(), OpenError::Newer { found: 99, known: 2, .. }, "newer Gundo");
    server.sql(&format!("UPDATE {}.meta SET value = 'x' WHERE key = 'format'", newer.schema));
    assert_refused!(newer, OpenError::Damaged { .. }, "format");
}

#[test]
fn processes_that_open_a_new_world_at_once_agree() {
    let server = Server::start();
    let settings = server.settings();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let (settings, threads) = (&settings, 0..4);
        let threads: Vec<_> = threads
            .map(|n: u8| {
                scope.spawn(move || {
                    let journal = open(settings.clone()).expect("one makes the tables, the others find them");
                    let seed = journal.settle("seed", &n.to_string()).expect("writable");
                    (journal.created_ms(), seed)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(opened.iter().all(|one| *one == opened[0]), "{opened:?}");
}

#[test]
fn pgbouncer_in_transaction_mode_is_refused_with_the_reason() {
    let Ok(program) = install::program("pgbouncer", &["/usr/sbin"], "pgbouncer") else {
        eprintln!("pgbouncer cannot be installed here: nothing was tested");
        return;
    };
    let server = Server::start();
    for ignores in ["", "ignore_startup_parameters = options"] {
        let dir = tempfile::tempdir().expect("a directory");
        let port = gundo_engines::free_port().expect("a port");
        let users = dir.path().join("users");
        std::fs::write(&users, format!("\"postgres\" \"{}\"", gundo_engines::postgres::Postgres::PASSWORD))
            .expect("writable");
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} dbname=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = transaction\n{ignores}\n",
            server.postgres.port(),
            users.display()
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, config).expect("writable");
        for path in [dir.path(), &users, &file] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, open).expect("ours");
        }
        let mut command = Command::new(&program);
        // As root it changes its user itself.
        command.arg("-u").arg("postgres").arg(&file);
        let log = dir.path().join("log");
        let mut pooler = gundo_engines::Process::start(&mut command, &log).expect("it starts");
        let until = std::time::Instant::now() + common::PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            pooler.check().expect("it runs");
            assert!(std::time::Instant::now() < until, "it does not listen");
            // Polls, up to a limit.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut settings = server.settings();
        settings.server = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
        assert_refused!(
            settings,
            OpenError::Pooler { .. },
            "pgbouncer in transaction mode",
            "connect to PostgreSQL itself"
        );
    }
}
