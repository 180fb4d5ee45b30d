//! TLS to the database: both sides' certificates, and every way in which they do not fit.

mod common;

use std::path::{Path, PathBuf};

use common::Server;
use gundo_engines::authority::Authority;
use gundo_journal::{Fault, Journal};
use gundo_journal_postgres::{OpenError, PostgresReader, PostgresSettings, PostgresTls, open};

/// Gives the server a certificate, which new connections see.
fn serve_with(server: &Server, (certificate, key): (PathBuf, PathBuf), ca: &Path) {
    let data = PathBuf::from(server.sql("SHOW data_directory"));
    for (from, to) in [(certificate.as_path(), "server.crt"), (key.as_path(), "server.key"), (ca, "root.crt")]
    {
        let to = data.join(to);
        std::fs::copy(from, &to).expect("written");
        let owner = std::fs::metadata(&data).expect("there");
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        chown(&to, Some(owner.uid()), Some(owner.gid())).expect("ours");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }
    server.sql("ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
}

/// Who may come: lines of pg_hba.conf for TCP.
fn admit(server: &Server, line: &str) {
    let file = PathBuf::from(server.sql("SHOW hba_file"));
    std::fs::write(&file, format!("local all all trust\n{line}\n")).expect("written");
    server.sql("SELECT pg_reload_conf()");
}

fn refusal(settings: &PostgresSettings) -> (Box<OpenError>, String) {
    let Err(fault) = open(settings.clone()) else { panic!("it opens") };
    let line = fault.chain();
    let Fault::Open { source } = fault else { panic!("{line}") };
    (source.downcast().expect("an error of opening"), line)
}

macro_rules! assert_refused {
    ($settings:expr, $pattern:pat, $($word:expr),+) => {{
        let (why, line) = refusal(&$settings);
        assert!(matches!(*why, $pattern), "{line}");
        $(assert!(line.contains($word), "{line}");)+
    }};
}

#[test]
fn everything_is_encrypted_and_the_server_is_checked() {
    let server = Server::start();
    let (ours, foreign) = (
        Authority::new(server.dir.path(), "ours").expect("an authority"),
        Authority::new(server.dir.path(), "foreign").expect("an authority"),
    );
    let plain = server.settings();
    let tls = |ca: &Path, identity| {
        let tls = Some(PostgresTls { ca: ca.to_owned(), identity });
        PostgresSettings { tls, ..plain.clone() }
    };
    let good = tls(&ours.ca, None);
    assert_refused!(good, OpenError::Tls { .. }, "does not support TLS", "ssl = on");

    serve_with(&server, ours.sign("127.0.0.1").expect("signed"), &ours.ca);
    admit(&server, "hostssl all all 127.0.0.1/32 scram-sha-256");
    let journal = open(good.clone()).expect("both trust each other");
    let all =
        "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'gundo'";
    assert_eq!(
        server.sql(all),
        "5|5",
        "two writers, a reader, the desk, the rows; the pruner connects when it prunes"
    );
    assert!(journal.meta("created_ms").expect("readable").is_some());
    PostgresReader::open(good.clone()).expect("tools too");
    let mut in_words = good.clone();
    in_words.server += " sslmode=verify-full";
    PostgresReader::open(in_words).expect("as libpq writes it");

    assert_refused!(plain, OpenError::Denied { .. }, "pg_hba.conf");
    assert_refused!(tls(&foreign.ca, None), OpenError::Tls { .. }, "UnknownIssuer", "authority");
    assert_refused!(tls(Path::new("/nowhere/ca.pem"), None), OpenError::TlsFile { .. }, "/nowhere/ca.pem");
    assert_refused!(
        tls(&ours.folder.join("127.0.0.1.key"), None),
        OpenError::TlsFile { .. },
        "no certificate"
    );
    let mut disabled = good.clone();
    disabled.server += " sslmode=disable";
    assert_refused!(disabled, OpenError::SslMode { .. }, "sslmode=disable");
    let mut unchecked = plain.clone();
    unchecked.server += " sslmode=require";
    assert_refused!(unchecked, OpenError::SslMode { .. }, "authority");

    // Another host's certificate, although our authority signed it.
    serve_with(&server, ours.sign("db.example.org").expect("signed"), &ours.ca);
    assert_refused!(good, OpenError::Tls { .. }, "not valid for name");

    // The server asks for ours.
    serve_with(&server, ours.sign("127.0.0.1").expect("signed"), &ours.ca);
    admit(&server, "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca");
    assert_refused!(good, OpenError::Denied { .. }, "client certificate");
    let known = ours.sign("node-1").expect("signed");
    drop(open(tls(&ours.ca, Some(known.clone()))).expect("it is known"));
    let (stranger, line) = refusal(&tls(&ours.ca, Some(foreign.sign("node-1").expect("signed"))));
    assert!(matches!(*stranger, OpenError::Unreachable { .. } | OpenError::Tls { .. }), "{line}");
    let mixed = (known.0, foreign.folder.join("node-1.key"));
    assert_refused!(tls(&ours.ca, Some(mixed)), OpenError::TlsFile { .. }, "not the key of the certificate");
}
