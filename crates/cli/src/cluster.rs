//! One node of a world that runs in many processes: its configuration, and, with the feature `cluster`, everything that runs it.

#[cfg(feature = "cluster")]
mod colleagues;
pub(crate) mod config;
#[cfg(feature = "cluster")]
mod database;
#[cfg(feature = "cluster")]
mod links;
#[cfg(feature = "cluster")]
mod node;
#[cfg(feature = "cluster")]
mod up;

#[cfg(feature = "cluster")]
pub(crate) use {database::settings as database, node::run, up::run as cluster};
