//! Starts other people's servers on this machine: for tests, and for a cluster on one machine.
//!
//! Each server is private to its caller: it listens on loopback, keeps its files in a directory of the caller's, runs as an
//! unprivileged user where it insists, and ends when its value is dropped. What is missing is installed, where that can be done
//! ([`install`]).
//!
//! Not here: what is stored in the servers, and the drivers that talk to them.

pub mod authority;
pub mod etcd;
pub mod install;
pub mod postgres;
mod process;

pub use process::{Process, free_port};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A program is missing and cannot be installed from here.
    #[error(
        "{program} is missing: run `apt-get install {package}` as root (on Debian as root this is done for you)"
    )]
    Missing {
        /// The program.
        program: String,
        /// The package of Debian that has it.
        package: String,
    },
    /// A program could not be run, or ended at once.
    #[error("{program}: {what}")]
    Failed {
        /// The program.
        program: String,
        /// What went wrong, with the last lines of its log if there is one.
        what: String,
    },
    /// The operating system refuses a file, a port or the like.
    #[error("{0}")]
    System(#[from] std::io::Error),
}
