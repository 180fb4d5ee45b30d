//! The cluster in containers: `deploy/compose.yaml` and the files beside it fit each other and this program.

use std::collections::BTreeSet;
use std::path::PathBuf;

use gundo_cli::{ClusterConfig, Config};
use gundo_node::Listen;
use toml::Table;

fn deploy() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy"))
}

fn text(file: &str) -> String {
    let path = deploy().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The services: each its name and its lines.
fn services(compose: &str) -> Vec<(String, String)> {
    let (_, rest) = compose.split_once("\nservices:\n").expect("there are services");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in rest.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            Some(name) => found.push((name.trim_end_matches(':').to_owned(), String::new())),
            None => {
                if let Some((_, lines)) = found.last_mut() {
                    lines.push_str(line);
                    lines.push('\n');
                }
            }
        }
    }
    found
}

fn node(letter: &str) -> (Config, ClusterConfig) {
    let mut all = Table::try_from(Config::default()).expect("plain numbers and words");
    all.extend(text(&format!("compose/node-{letter}.toml")).parse::<Table>().expect("TOML"));
    let config: Config = all.try_into().expect("every key is known");
    let cluster = config.cluster.clone().expect("it is a node of a cluster");
    (config, cluster)
}

#[test]
fn every_name_is_a_service_and_every_file_is_there() {
    let compose = text("compose.yaml");
    let services = services(&compose);
    let names: BTreeSet<&str> = services.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    let lines_of = |name: &str| &services.iter().find(|(found, _)| found == name).expect("it is there").1;
    for (number, letter) in (1..).zip(["a", "b", "c"]) {
        let (config, cluster) = node(letter);
        let service = format!("node-{letter}");
        assert_eq!(cluster.node, number);
        assert_eq!(
            cluster.fabric.as_deref(),
            Some(format!("{service}:{}", cluster.fabric_listen.port()).as_str())
        );
        let admin = config.admin_listen.expect("operators are served");
        assert_eq!(cluster.admin.as_deref(), Some(format!("{service}:{}", admin.port()).as_str()));
        for endpoint in &cluster.etcd.endpoints {
            let host = endpoint.trim_start_matches("http://").trim_end_matches(":2379");
            assert!(names.contains(host), "{endpoint}");
        }
        let hosts = cluster.postgres.server.split_whitespace().find_map(|word| word.strip_prefix("host="));
        for host in hosts.expect("hosts").split(',') {
            assert!(names.contains(host), "{host}");
        }
        let lines = lines_of(&service);
        assert!(
            lines.contains(&format!("./compose/node-{letter}.toml:/etc/pioneer/node.toml:ro")),
            "{lines}"
        );
        // Players come by the port that the node tells them.
        let port = config.advertise.to_string();
        let Listen::Address(listen) = &config.listen else { panic!("players come by TCP") };
        assert!(
            lines.contains(&format!("[\"{}:{}\"]", port.trim_start_matches(':'), listen.port())),
            "{port}: {lines}"
        );
        let tls = cluster.tls.expect("certificates");
        assert_eq!(tls.certificate, PathBuf::from(format!("/certs/node-{number}.pem")));
        assert_eq!(tls.key, PathBuf::from(format!("/certs/node-{number}-key.pem")));
        assert!(lines_of("certs").contains(&format!("\"--node\", \"{number}\"")));
        assert!(compose.contains(&format!("http://127.0.0.1:{}/readyz", admin.port())));
    }
    for (_, lines) in &services {
        for file in lines.split(['"', ' ']).filter_map(|word| word.strip_prefix("./")) {
            let file = file.split(':').next().unwrap_or_default();
            assert!(deploy().join(file).exists(), "{file}");
        }
    }
    // The image has what the services run.
    let image = text("Containerfile");
    for words in ["--features cluster", "/var/lib/pioneer /certs", "/usr/bin/pioneer", "curl"] {
        assert!(image.contains(words), "{words}");
    }
}
