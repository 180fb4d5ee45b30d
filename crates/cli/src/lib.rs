//! The command line of every game: its server, its bots, and the operators' tools, as one program.
//!
//! A game's `main` is one line with [`App`]; the rest of a game is written against `gundo`. [`Config`] has everything that
//! can be configured by file, environment and flags.
//!
//! With the feature `cluster` it also has `node`: one node of a world that runs in many processes.
//!
//! Start reading at [`App`]; `cli` is the grammar, and each command has a file: `serve`, `bots`, `nodes`, `order`, `schema`,
//! `journal`.
//!
//! Not here: worlds (`gundo-node` runs them), and anything a game's rules could need.

mod app;
mod bots;
#[cfg(feature = "cluster")]
mod certs;
mod cli;
mod cluster;
mod config;
mod https;
mod journal;
mod layers;
mod listen;
mod lives;
mod logs;
mod marker;
mod nodes;
mod order;
mod schema;
mod serve;
mod token;

pub use app::App;
pub use lives::{Lives, Mention, Step, Thing};
/// The allocator for a program that serves a world: many small buffers cross threads, and it is faster at that than the system's. A
/// program sets it in its `main.rs`, and nowhere else:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: gundo_cli::Allocator = gundo_cli::Allocator;
/// ```
pub use mimalloc::MiMalloc as Allocator;

pub use cluster::config::{ClusterConfig, EtcdConfig, PostgresConfig, TlsConfig};
pub use config::{
    AdminTlsConfig, AdmissionConfig, Config, ConfigError, JournalConfig, LimitsConfig, PlayersTlsConfig,
    SyncConfig, WorldConfig,
};
