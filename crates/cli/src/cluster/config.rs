//! What a node of a cluster must know: `[cluster]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::listen;

/// One node of a world that runs in many processes: `[cluster]`. All processes of a world say the same, except for what is about this
/// one: `node`, `listen`, `advertise`, `data`, `admin_listen`, and here `fabric_listen`, `fabric`, `admin`, `machine`, `zone`, `tls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The number of this node, from 1. No other process of the world has it.
    pub node: u16,
    /// The cell of the world that it belongs to (default 0). Nodes of different cells do not talk to each other.
    #[serde(default)]
    pub cell: u32,
    /// Where it listens for other nodes, such as `10.0.0.2:7601`. Port 0: any free port.
    #[serde(deserialize_with = "listen::read")]
    pub fabric_listen: SocketAddr,
    /// `HOST:PORT` at which other nodes reach it (default: `fabric_listen`). Needed if that is `0.0.0.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<String>,
    /// `HOST:PORT` at which other nodes pass operators' requests on to it (default: `admin_listen`; without that none are passed on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Label of the machine (default: its host name). Nodes with the same label fail together, so two of them are not two witnesses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Label of the place of the machine, for people (default: none).
    #[serde(default)]
    pub zone: String,
    /// How long a stop may take to hand everything to the other nodes, ms (default 60,000). Beyond that the node saves what is left
    /// and ends.
    #[serde(default = "drain_ms")]
    pub drain_ms: u64,
    /// The members' coordinator.
    pub etcd: EtcdConfig,
    /// The journal.
    pub postgres: PostgresConfig,
    /// Certificates for the connections between nodes (default: none, which is for loopback and trusted networks only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

fn drain_ms() -> u64 {
    60_000
}

/// Where etcd is: `[cluster.etcd]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdConfig {
    /// All members of one etcd cluster, such as `["http://10.0.0.1:2379"]`.
    pub endpoints: Vec<String>,
    /// All keys of the world begin with this (default `/gundo/` and the world's id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// File of the authority that signed etcd's certificates. With it the endpoints are `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// File of our own certificate, where etcd asks for one; `key` goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File of its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Name of the user, where etcd asks for one; `password_file` goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// File with the user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// Where PostgreSQL is: `[cluster.postgres]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// libpq's connection string, such as `host=db1,db2 user=gundo dbname=gundo`. Leave the password out.
    pub server: String,
    /// File with the password (default: none is needed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// File of the authority that signed PostgreSQL's certificates (default: none, and nothing is encrypted). With it everything is
    /// encrypted, and the server's certificate must be for the host that `server` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// File of our own certificate, where PostgreSQL asks for one; `key` goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File of its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The schema with the world's tables (default `gundo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Connections that write, each with one group under way (default 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writers: Option<usize>,
    /// Connections that serve loads and lists (default 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<usize>,
    /// How long events stay after the snapshot that makes them unnecessary, hours of world time (default 1). Nodes should agree: the one
    /// with the least prunes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hours: Option<u32>,
}

/// Certificates between nodes: `[cluster.tls]`. The command `certs` makes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// File of the world's authority.
    pub authority: PathBuf,
    /// File of this node's certificate.
    pub certificate: PathBuf,
    /// File of its key.
    pub key: PathBuf,
}
