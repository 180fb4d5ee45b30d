//! Configuration: defaults, then a TOML file, then the environment, then flags; later ones win.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gundo_journal_sqlite::{Settings as JournalSettings, Synchronous};
use gundo_kernel::WorldSettings;
use gundo_node::{
    Access, Advertise, BadNetwork, KeyFiles, Listen, Network, OperatorFiles, SoloSettings, Wall,
};
use gundo_types::{Admission, Limits};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::cluster::config::ClusterConfig;
use crate::{layers, listen};

pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Where a world's data lies by default.
pub(crate) const DATA_DEFAULT: &str = "data";

/// Everything that can be configured. In a file the fields are keys (`nodes = 3`, `[world]`, `tick_ms = 100`), in the
/// environment `GUNDO_NODES`, `GUNDO_WORLD__TICK_MS`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Nodes in this process (default 3): each one logic thread.
    pub nodes: u16,
    /// Where the process listens (default 127.0.0.1:7600), for browsers and for the clients of all its nodes. A port alone is a port of
    /// this machine only; `0.0.0.0:80` is port 80 of every IPv4 address. Port 0: any free port.
    /// `unix:/run/pioneer.sock` is a Unix socket for a proxy on this machine.
    #[serde(with = "listen::place")]
    pub listen: Listen,
    /// What clients are told of where the nodes are, if that is not the address they came by: `wss://HOST:PORT/PATH`, where
    /// `{node}` is the node's number. Every part may be left out (default: all, which is right behind most proxies).
    #[serde(with = "advertise")]
    pub advertise: Advertise,
    /// Where metrics and the operators' requests are served, such as `127.0.0.1:7700` (default: where the process listens; then
    /// operators must be on this machine).
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "listen::read_some")]
    pub admin_listen: Option<SocketAddr>,
    /// The certificates at that address (default: none; it has no TLS, and operators need the token).
    pub admin_tls: AdminTlsConfig,
    /// Who may come in.
    pub access: AccessConfig,
    /// The certificate for players (default: none; they come without TLS, or a proxy in front has it).
    pub tls: PlayersTlsConfig,
    /// The data directory (default `data` in the current directory).
    pub data: PathBuf,
    /// The id of the world that must be in the data directory, 32 hexadecimal digits, as the file `world.id` there has it (default: any, and
    /// none begins a new world). With it a wrong, empty or unmounted directory is an error at start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world_id: Option<String>,
    /// Seed of a new world (default: random). An old world keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// A directory with the game's page, served instead of the one in the program (default: the one in the program). A browser's reload
    /// shows what was edited there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<PathBuf>,
    /// Threads for I/O (default: one per core, at most 8).
    pub io_threads: usize,
    /// Open files that are not for players but for operators, the journal, links to other nodes and the process itself (default 256, or
    /// half of those that the process may open). Beyond the others newcomers are told that there is no room.
    pub files_reserved: usize,
    /// A node whose logic thread stays in one turn for this long ends as after a crash, ms (default 1,000; at least 200).
    pub watchdog_ms: u64,
    /// By how much world time may go forward at a start because the machine's clock says so, ms (default 604,800,000: 7 days). Beyond it
    /// goes on from where it was, and the log reports an error.
    pub clock_forward_max_ms: u64,
    /// Whether a player hears why a rule could not do what it wanted, beside `game_error` (default: only while the world listens on
    /// loopback and was told of no proxy, that is, in development).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explains: Option<bool>,
    /// The journal of a world in one process.
    pub journal: JournalConfig,
    /// The part of one node in a world of many processes, which the command `node` runs (default: none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterConfig>,
    /// The world.
    pub world: WorldConfig,
}

impl Default for Config {
    fn default() -> Self {
        let solo = SoloSettings::default();
        Self {
            nodes: solo.nodes,
            listen: Listen::Address(solo.listen),
            advertise: solo.advertise,
            admin_listen: None,
            admin_tls: AdminTlsConfig::default(),
            access: AccessConfig::default(),
            tls: PlayersTlsConfig::default(),
            data: PathBuf::from(DATA_DEFAULT),
            world_id: None,
            seed: None,
            page: None,
            io_threads: solo.io_threads,
            files_reserved: solo.files_reserved,
            watchdog_ms: solo.watchdog_ms,
            clock_forward_max_ms: solo.clock_forward_max_ms,
            explains: None,
            journal: JournalConfig::default(),
            cluster: None,
            world: WorldConfig::default(),
        }
    }
}

/// Who may come in: `[access]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    /// Names by which the world may be called, such as `["play.example.org"]` (default: any name). Loopback names always.
    pub hosts: Vec<String>,
    /// Origins of pages that may connect besides the world's own and those of this machine, such as `["https://example.org"]`;
    /// `["*"]`: all (default: none).
    pub origins: Vec<String>,
    /// Addresses of proxies whose word about the client is believed, such as `["10.0.0.0/8"]` (default: none).
    pub trusted_proxies: Vec<ProxyConfig>,
}

/// Certificates of the world's own authority at the address for operators: `[admin_tls]`. New files are used without a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminTlsConfig {
    /// File of the world's authority: whom it names as operators may act without the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// File of this node's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl AdminTlsConfig {
    fn files(&self) -> Option<OperatorFiles> {
        let Self { authority, certificate, key } = self.clone();
        Some(OperatorFiles { authority: authority?, own: KeyFiles { certificate: certificate?, key: key? } })
    }

    fn is_part(&self) -> bool {
        let Self { authority, certificate, key } = self;
        self.files().is_none() && (authority.is_some() || certificate.is_some() || key.is_some())
    }
}

/// The certificate for players: `[tls]`. New files are used without a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayersTlsConfig {
    /// File of the certificate, with those of the authorities in between behind it: PEM. It goes with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File of its private key: PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl PlayersTlsConfig {
    fn files(&self) -> Option<KeyFiles> {
        let Self { certificate, key } = self.clone();
        Some(KeyFiles { certificate: certificate?, key: key? })
    }
}

/// The address of a proxy, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyConfig(Network);

impl TryFrom<String> for ProxyConfig {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse().map(Self)
    }
}

impl From<ProxyConfig> for String {
    fn from(ProxyConfig(network): ProxyConfig) -> Self {
        network.to_string()
    }
}

/// How the journal works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// `full` (default): acknowledged data survives a power cut. `off`: it survives only a crash of the process; for tests
    /// and benches.
    pub synchronous: SyncConfig,
    /// Free bytes on the disk below which commands and new players are refused with `storage_full`, and the log reports an
    /// error (default 256 MiB). Normal operation resumes at a quarter more.
    pub disk_free_low: u64,
    /// Free bytes on the disk below which the journal writes nothing more, before the disk is full (default 64 MiB).
    pub disk_free_min: u64,
    /// Bytes the journal's log may grow to while a backup or another program reads the journal (default 4 GiB). From a quarter on the
    /// log warns, at three quarters commands are refused with `storage_full`, at all of it everything durable is.
    pub log_bytes_max: u64,
    /// How long events stay after the snapshot that makes them unnecessary, hours of world time (default 1): so far back, at least,
    /// `journal item` and `journal player` tell what was.
    pub keep_hours: u32,
    /// Bytes the journal may grow to (default: as much as the disk holds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
}

/// When the journal waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncConfig {
    /// Before anything is acknowledged.
    #[default]
    Full,
    /// Never.
    Off,
}

impl Default for JournalConfig {
    fn default() -> Self {
        let settings = JournalSettings::default();
        Self {
            synchronous: SyncConfig::Full,
            disk_free_low: settings.disk_free_low,
            disk_free_min: settings.disk_free_min,
            keep_hours: (settings.keep_ms / HOUR_MS) as u32,
            file_bytes_max: settings.file_bytes_max,
            log_bytes_max: settings.log_bytes_max,
        }
    }
}

/// Mirrors a settings type field by field, so that the crates below need no serde. A forgotten field does not compile.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident of $of:ident { $($field:ident: $type:ty,)* } with { $($inner:ident: $inner_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(#[doc = concat!("See [`", stringify!($of), "::", stringify!($field), "`].")] pub $field: $type,)*
            $(#[doc = concat!("See [`", stringify!($of), "::", stringify!($inner), "`].")] pub $inner: $inner_type,)*
        }

        impl From<$of> for $name {
            fn from(from: $of) -> Self {
                let $of { $($field,)* $($inner,)* } = from;
                Self { $($field,)* $($inner: $inner.into(),)* }
            }
        }

        impl From<$name> for $of {
            fn from(from: $name) -> Self {
                let $name { $($field,)* $($inner,)* } = from;
                Self { $($field,)* $($inner: $inner.into(),)* }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $of::default().into()
            }
        }
    };
}

mirror! {
    /// Settings of the world, equal on all nodes: `[world]`.
    WorldConfig of WorldSettings {
        tick_ms: u32,
        flush_after_ms: u32,
        sight_chunks: [u32; 3],
        tier_ticks: [u32; 3],
        tract_chunks: u16,
        grace_ms: u64,
        snapshot_every: u64,
        place_every_ms: u64,
        unplayed_ms: u64,
        idle_ms: u64,
        lease_ms: u64,
        confirm_broken_ms: u64,
        confirm_silent_ms: u64,
        appends_waiting_max: usize,
        append_bytes_waiting_max: usize,
        append_slow_ms: u64,
        append_wait_ms: u64,
        follow_after_ms: u64,
        link_bytes_max: usize,
        piece_bytes_max: usize,
    } with {
        newcomers: AdmissionConfig,
        limits: LimitsConfig,
    }
}

mirror! {
    /// Limits on what one client may do and cost: `[world.limits]`.
    LimitsConfig of Limits {
        client_message_bytes_max: usize,
        client_messages_per_second_max: u32,
        commands_unanswered_max: usize,
        answers_kept: usize,
        command_bytes_max: usize,
        public_bytes_max: usize,
        send_queue_bytes_max: usize,
        replies_waiting_max: usize,
        waiting_per_entity_max: usize,
        connections_max: usize,
        watches_max: usize,
        watchers_max: usize,
        newcomers_at_once_max: u32,
        newcomers_per_hour_max: u32,
    } with {}
}

/// Who may come in as a new player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionConfig {
    /// Everybody.
    #[default]
    Open,
    /// Who has an invitation.
    Invited,
    /// Nobody.
    Closed,
}

impl From<Admission> for AdmissionConfig {
    fn from(admission: Admission) -> Self {
        match admission {
            Admission::Open => Self::Open,
            Admission::Invited => Self::Invited,
            Admission::Closed => Self::Closed,
        }
    }
}

impl From<AdmissionConfig> for Admission {
    fn from(config: AdmissionConfig) -> Self {
        match config {
            AdmissionConfig::Open => Self::Open,
            AdmissionConfig::Invited => Self::Invited,
            AdmissionConfig::Closed => Self::Closed,
        }
    }
}

/// An advertised address as one text.
mod advertise {
    use gundo_node::Advertise;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(advertise: &Advertise, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(advertise)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Advertise, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist or is not readable.
    #[error("cannot read the configuration file {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is unknown or a value is invalid.
    #[error("bad configuration: {0}")]
    Value(#[from] toml::de::Error),
    /// Half of a certificate.
    #[error("bad configuration: tls.certificate and tls.key go together")]
    HalfTls,
    /// A part of the certificates for operators.
    #[error("bad configuration: admin_tls.authority, admin_tls.certificate and admin_tls.key go together")]
    HalfAdminTls,
}

/// The flags: only those that were given.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// Nodes in this process, each one logic thread [default: 3]
    #[arg(long, value_name = "N")]
    nodes: Option<u16>,
    /// Where the process listens, for all its nodes; a port alone is a port of this machine only [default: 127.0.0.1:7600]
    #[arg(long, value_name = "HOST:PORT", value_parser = listen::parse_place)]
    listen: Option<Listen>,
    /// What clients are told of where the nodes are [default: the address they came by]
    #[arg(long, value_name = "wss://HOST:PORT/PATH/{node}")]
    advertise: Option<Advertise>,
    /// Where metrics and the operators' requests are served [default: where the process listens]
    #[arg(long, value_name = "HOST:PORT", value_parser = listen::parse)]
    admin_listen: Option<SocketAddr>,
    /// Directory of the world's data [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seed of a new world; an old one keeps its own [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Serve the game's page from this directory: a reload shows what was edited there [default: the page in this program]
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
}

impl Flags {
    fn apply(&self, config: &mut Config) {
        fn set<T: Clone>(field: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                field.clone_from(value);
            }
        }
        set(&mut config.nodes, &self.nodes);
        set(&mut config.listen, &self.listen);
        set(&mut config.advertise, &self.advertise);
        set(&mut config.data, &self.data);
        config.admin_listen = self.admin_listen.or(config.admin_listen);
        config.seed = self.seed.or(config.seed);
        config.page = self.page.clone().or_else(|| config.page.take());
    }
}

impl Config {
    /// Reads the configuration: defaults, `file`, the environment, `flags`.
    pub(crate) fn read(file: Option<&Path>, flags: &Flags) -> Result<Self, ConfigError> {
        let mut all = Table::try_from(Self::default()).expect("the defaults are plain numbers and words");
        if let Some(file) = file {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|source| ConfigError::File { file: file.to_owned(), source })?;
            layers::merge(&mut all, text.parse()?);
        }
        layers::merge(&mut all, layers::environment(std::env::vars_os()));
        let mut config: Self = all.try_into()?;
        flags.apply(&mut config);
        if config.tls.certificate.is_some() != config.tls.key.is_some() {
            return Err(ConfigError::HalfTls);
        }
        if config.admin_tls.is_part() {
            return Err(ConfigError::HalfAdminTls);
        }
        Ok(config)
    }

    /// The same settings in the form `gundo-node` takes, without page and admin token: those are made when the server starts.
    pub(crate) fn solo(&self) -> SoloSettings {
        let (listen, socket) = match self.listen.clone() {
            Listen::Address(address) => (address, None),
            Listen::Socket(path) => (SoloSettings::default().listen, Some(path)),
        };
        SoloSettings {
            nodes: self.nodes,
            listen,
            socket,
            advertise: self.advertise.clone(),
            admin_listen: self.admin_listen,
            admin_tls: self.admin_tls.files(),
            access: self.access(),
            tls: self.tls.files(),
            seed: self.seed,
            io_threads: self.io_threads,
            files_reserved: self.files_reserved,
            black_box: Some(self.data.join("blackbox")),
            running: Some(self.data.join("running")),
            explains: self.explains,
            watchdog_ms: self.watchdog_ms,
            clock_forward_max_ms: self.clock_forward_max_ms,
            wall: Wall::default(),
            admin_token: None,
            page: None,
            world: self.world.clone().into(),
        }
    }

    fn access(&self) -> Access {
        let AccessConfig { hosts, origins, trusted_proxies } = self.access.clone();
        let trusted_proxies = trusted_proxies.into_iter().map(|ProxyConfig(network)| network).collect();
        Access { hosts, origins, trusted_proxies }
    }

    pub(crate) fn journal(&self) -> JournalSettings {
        let synchronous = match self.journal.synchronous {
            SyncConfig::Full => Synchronous::Full,
            SyncConfig::Off => Synchronous::Off,
        };
        let JournalConfig { disk_free_low, disk_free_min, file_bytes_max, log_bytes_max, .. } = self.journal;
        JournalSettings {
            synchronous,
            keep_ms: u64::from(self.journal.keep_hours) * HOUR_MS,
            disk_free_low,
            disk_free_min,
            file_bytes_max,
            log_bytes_max,
            ..JournalSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("gundo.toml");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn read(text: &str, flags: &Flags) -> Result<Config, String> {
        let (_dir, path) = file(text);
        Config::read(Some(&path), flags).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(Config::read(None, &Flags::default()).expect("good"), Config::default());
        let world: WorldSettings = WorldConfig::default().into();
        assert_eq!(world, WorldSettings::default());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let text = "nodes = 5\nlisten = '0.0.0.0:80'\npage = 'old'\n[world]\ntick_ms = 50\n[world.limits]\nconnections_max = 7\n";
        assert_eq!(read(text, &Flags::default()).expect("good").page, Some("old".into()));
        let flags = Flags { nodes: Some(2), page: Some("new".into()), ..Flags::default() };
        let config = read(text, &flags).expect("good");
        assert_eq!(config.page, Some("new".into()));
        assert_eq!((config.nodes, config.solo().listen.port(), config.world.tick_ms), (2, 80, 50));
        assert_eq!(config.solo().world.limits.connections_max, 7);
        let config =
            read("listen = 80\nadvertise = 'wss://play.example.org'\n", &Flags::default()).expect("good");
        assert_eq!(config.solo().listen, SocketAddr::from(([127, 0, 0, 1], 80)));
        let by_socket = read("listen = 'unix:/run/a.sock'\n", &Flags::default()).expect("good");
        assert_eq!(by_socket.solo().socket, Some("/run/a.sock".into()));
        assert_eq!(config.solo().advertise.to_string(), "wss://play.example.org");
        let text =
            "admin_listen = 7700\n[access]\norigins = ['*']\ntrusted_proxies = ['10.0.0.0/8', '::1']\n";
        let solo = read(text, &Flags::default()).expect("good").solo();
        assert_eq!(solo.admin_listen, Some(SocketAddr::from(([127, 0, 0, 1], 7_700))));
        assert_eq!((solo.access.origins.len(), solo.access.trusted_proxies.len()), (1, 2));
        assert_eq!(config.world.grace_ms, WorldSettings::default().grace_ms);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        let error = read("nodess = 5\n", &Flags::default()).expect_err("unknown");
        assert!(error.contains("nodess"), "{error}");
        let error = read("[world]\ntick = 5\n", &Flags::default()).expect_err("unknown");
        assert!(error.contains("tick"), "{error}");
        let error = read("listen = 'here:7x'\n", &Flags::default()).expect_err("no address");
        assert!(error.contains("listen"), "{error}");
        let error = read("advertise = 'ftp://a'\n", &Flags::default()).expect_err("no address");
        assert!(error.contains("ftp"), "{error}");
        let error =
            read("[access]\ntrusted_proxies = ['here']\n", &Flags::default()).expect_err("no address");
        assert!(error.contains("`here` is neither"), "{error}");
        let error = read("[tls]\nkey = 'a'\n", &Flags::default()).expect_err("half");
        assert!(error.contains("tls.certificate and tls.key go together"), "{error}");
        let files =
            read("[tls]\nkey = 'a'\ncertificate = 'b'\n", &Flags::default()).expect("both").solo().tls;
        assert_eq!(files, Some(KeyFiles { certificate: "b".into(), key: "a".into() }));
        let error = read("nodes = [", &Flags::default()).expect_err("no TOML");
        assert!(error.contains("bad configuration"), "{error}");
        let missing = Config::read(Some(Path::new("/nowhere/gundo.toml")), &Flags::default());
        assert!(matches!(missing, Err(ConfigError::File { .. })));
    }
}
