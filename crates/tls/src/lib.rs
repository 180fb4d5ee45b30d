//! TLS as all parts of Gundo use it: certificates from files that are read again when they change, and the two ends of a connection.
//!
//! [`Watched`] is what was read from files, as of now; [`certificates`] and [`private_key`] read them. [`ServerTls`] is the server's end
//! for clients, [`client_config`] the clients' end, and [`Channel`] is TLS on a socket that never blocks.
//! [`OperatorTls`] and [`OperatorClient`] are the two ends at the address for operators, by the world's own authority. The provider of
//! cryptography is `ring`, for all ends; [`provider`] is the one place that says so. TLS 1.3 only.
//!
//! Not here: sockets, and who is who between nodes (`gundo-fabric-grpc`).

mod channel;
mod client;
mod files;
mod operators;
mod server;
mod watched;

use std::path::PathBuf;
use std::sync::Arc;

pub use channel::Channel;
pub use client::{Trust, client_config, server_name};
pub use files::{certificates, private_key};
pub use operators::{
    OperatorClient, OperatorFiles, OperatorTls, Role, operator_client, operator_name, operator_words, role_of,
};
pub use rustls;
pub use server::{KeyFiles, ServerTls};
pub use watched::{Look, Watched};

/// A certificate that ends within this time is complained about.
pub const WARN_BEFORE: std::time::Duration = std::time::Duration::from_secs(14 * 24 * 3_600);

/// Why certificates are not usable.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has something else in it.
    #[error("{path} is not usable: {why}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// This machine trusts no authority.
    #[error(
        "this machine knows no authorities (Debian: install ca-certificates): name the file of the authority that signed the server's certificate"
    )]
    NoAuthorities,
}

/// The one provider of cryptography.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
