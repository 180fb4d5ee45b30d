//! `docs/configuration.md` has every key of the configuration with its default, and the alarms of `docs/operations.md` are about metrics
//! that there are.

use std::collections::BTreeMap;

use gundo_cli::{AdminTlsConfig, Config, JournalConfig, PlayersTlsConfig};
use toml::{Table, Value};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md"));

/// Keys without a default, each with a value that it takes.
fn optional() -> BTreeMap<&'static str, Value> {
    // Destructured, so that a new field is looked at here.
    let Config {
        admin_listen: None,
        world_id: None,
        seed: None,
        page: None,
        explains: None,
        // docs/cluster.md has its keys.
        cluster: None,
        journal:
            JournalConfig {
                file_bytes_max: None,
                synchronous: _,
                disk_free_low: _,
                disk_free_min: _,
                log_bytes_max: _,
                keep_hours: _,
            },
        nodes: _,
        listen: _,
        advertise: _,
        access: _,
        admin_tls: AdminTlsConfig { authority: None, certificate: None, key: None },
        tls: PlayersTlsConfig { certificate: None, key: None },
        data: _,
        io_threads: _,
        files_reserved: _,
        watchdog_ms: _,
        clock_forward_max_ms: _,
        world: _,
    } = Config::default()
    else {
        panic!("a key that had no default has one: move it")
    };
    let text = |text: &str| Value::String(text.to_owned());
    BTreeMap::from([
        ("admin_listen", text("127.0.0.1:7700")),
        ("admin_tls.authority", text("authority.pem")),
        ("admin_tls.certificate", text("node-1.pem")),
        ("admin_tls.key", text("node-1-key.pem")),
        ("world_id", text("00112233445566778899aabbccddeeff")),
        ("seed", Value::Integer(7)),
        ("page", text("page")),
        ("explains", Value::Boolean(true)),
        ("tls.certificate", text("certificate.pem")),
        ("tls.key", text("key.pem")),
        ("journal.file_bytes_max", Value::Integer(1 << 30)),
    ])
}

fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            value => drop(into.insert(key, value.to_string())),
        }
    }
}

#[test]
fn every_key_is_in_the_table_with_its_default() {
    let defaults = Table::try_from(Config::default()).expect("plain numbers and words");
    let mut wanted = BTreeMap::new();
    flatten("", &defaults, &mut wanted);
    wanted.extend(optional().into_keys().map(|key| (key.to_owned(), "none".to_owned())));
    // It depends on the machine.
    wanted.insert("io_threads".to_owned(), "cores, at most 8".to_owned());

    let (_, rest) = PAGE.split_once("<!-- keys begin -->").expect("the table has a begin");
    let (table, _) = rest.split_once("<!-- keys end -->").expect("the table has an end");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut told = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> =
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [key, default, _unit, effect] = cells[..] else { panic!("not four cells: {row}") };
        assert!(!effect.is_empty(), "{key} has no effect");
        assert!(told.insert(key.to_owned(), default.to_owned()).is_none(), "{key} is told twice");
    }
    assert_eq!(told, wanted);
}

#[test]
fn every_key_without_a_default_takes_a_value() {
    for (key, value) in optional() {
        let mut all = Table::try_from(Config::default()).expect("plain numbers and words");
        let (table, name) = match key.split_once('.') {
            Some((table, name)) => (all[table].as_table_mut().expect("a table"), name),
            None => (&mut all, key),
        };
        table.insert(name.to_owned(), value);
        all.try_into::<Config>().unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// A configuration of a node with every key.
const NODE: &str = r#"
[cluster]
node = 2
cell = 1
fabric_listen = "127.0.0.1:7800"
fabric = "n2:7800"
admin = "n2:7700"
machine = "b"
zone = "hall"
drain_ms = 1
[cluster.etcd]
endpoints = ["http://127.0.0.1:2379"]
prefix = "/gundo/a"
ca = "ca"
certificate = "c"
key = "k"
user = "u"
password_file = "p"
[cluster.postgres]
server = "host=a user=b"
password_file = "p"
ca = "ca"
certificate = "c"
key = "k"
schema = "s"
writers = 1
readers = 1
[cluster.tls]
authority = "a"
certificate = "c"
key = "k"
"#;

#[test]
fn the_keys_of_a_cluster_are_on_its_page() {
    let mut all = Table::try_from(Config::default()).expect("plain numbers and words");
    all.extend(NODE.parse::<Table>().expect("TOML"));
    let config: Config = all.try_into().expect("every key is known");
    // Written again, a key that the text above has not is missing here, and in the page.
    let written = Table::try_from(config.cluster.expect("it is there")).expect("plain");
    let mut keys = BTreeMap::new();
    flatten("", &written, &mut keys);
    assert_eq!(keys.len(), 26, "a new key belongs into the text above");
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cluster.md"));
    let (_, table) = page.split_once("### Keys of `[cluster]`").expect("the table is there");
    for key in keys.keys() {
        assert!(table.contains(&format!("`{key}`")), "{key} is not on the page");
    }
}

#[test]
fn every_alarm_is_about_a_metric_that_there_is() {
    let top = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let page = std::fs::read_to_string(top.join("docs/operations.md")).expect("the page is there");
    let (_, rest) = page.split_once("<!-- alarms begin -->").expect("the table has a begin");
    let (table, rest) = rest.split_once("<!-- alarms end -->").expect("the table has an end");
    let (_, rest) = rest.split_once("## What the drivers count").expect("the second table is there");
    let (drivers, _) = rest.split_once("\n## ").expect("it has an end");
    let mut sources = String::new();
    for folder in
        ["node", "edge", "journal", "journal-sqlite", "journal-postgres", "fabric-grpc", "coordinator-etcd"]
    {
        read_all(&top.join("crates").join(folder).join("src"), &mut sources);
    }
    let words = table.split('`').chain(drivers.split('`'));
    let named: Vec<_> =
        words.filter_map(|word| word.strip_prefix("gundo_")?.split(['{', '(']).next()).collect();
    assert!(named.len() > 10);
    for metric in named {
        let metric = format!("gundo_{metric}");
        assert!(sources.contains(&format!("\"{metric}\"")), "no metric {metric}");
    }
}

fn read_all(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}
