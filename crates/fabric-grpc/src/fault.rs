//! Why a fabric cannot start or a peer cannot be reached, in one line.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use gundo_tls::FileFault;
use tokio_rustls::rustls;
use tokio_rustls::rustls::{AlertDescription, CertificateError};

use crate::hello::Refused;

/// Why a fabric cannot start.
#[derive(Debug, thiserror::Error)]
pub enum FabricFault {
    /// The address cannot be listened at.
    #[error("cannot listen for other nodes at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start the fabric's threads: {0}")]
    Threads(io::Error),
    /// The certificates are not usable.
    #[error(transparent)]
    Certificates(#[from] CertFault),
}

/// Why certificates are not usable, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CertFault {
    /// A file cannot be read, or has something else in it.
    #[error(transparent)]
    File(#[from] FileFault),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name is none for an operator.
    #[error("`{0}` is no name of an operator: 1 to 32 small letters, digits and hyphens, such as `ada`")]
    Operator(String),
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Why a peer could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    /// It does not want this node.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// One of the two does not trust the other's certificate: trying again does not help, an operator must do something.
    #[error("{why}")]
    Untrusted {
        /// Whose certificate is not trusted.
        whose: Whose,
        /// What is wrong with it.
        why: String,
    },
    /// There is no connection, or it does not speak.
    #[error("{0}")]
    Unreachable(String),
}

/// Whose certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the node that dials: the peer refuses it.
    Own,
    /// That of the peer: this node refuses it.
    Peers,
}

impl DialFault {
    /// Why something failed: the cause that an operator can do something about, or the innermost one.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let why = words_of(error);
        match cause(error).and_then(whose) {
            Some(whose) => Self::Untrusted { whose, why },
            None => Self::Unreachable(why),
        }
    }

    /// What an operator can do, for the log.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Untrusted { whose: Whose::Own, .. } => {
                "make this node's certificate again with the world's authority (`certs`), and put it in its place: it is read without a restart"
            }
            Self::Untrusted { whose: Whose::Peers, .. } => {
                "make that node's certificate again with the world's authority (`certs`); if another program answers at the address, correct the address"
            }
            Self::Refused(_) => "what it says must be put right; this node goes on trying",
            Self::Unreachable(_) => "this node goes on trying",
        }
    }
}

/// Whose certificate it was that was not accepted.
fn whose(error: &rustls::Error) -> Option<Whose> {
    use AlertDescription as A;
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Some(Whose::Peers),
        rustls::Error::AlertReceived(
            A::CertificateExpired
            | A::CertificateRevoked
            | A::CertificateUnknown
            | A::CertificateRequired
            | A::UnsupportedCertificate
            | A::BadCertificate
            | A::UnknownCA
            | A::DecryptError,
        ) => Some(Whose::Own),
        _ => None,
    }
}

/// The fault of TLS behind an error.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut inner = Some(error);
    while let Some(error) = inner {
        let boxed = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let of_boxed = boxed.and_then(|error| error.downcast_ref::<rustls::Error>());
        if let Some(found) = error.downcast_ref::<rustls::Error>().or(of_boxed) {
            return Some(found);
        }
        inner = error.source().or(boxed.map(|error| error as &(dyn Error + 'static)));
    }
    None
}

impl From<String> for DialFault {
    fn from(why: String) -> Self {
        Self::Unreachable(why)
    }
}

/// What went wrong with a certificate, in words for operators; `None`: it was something else.
fn of_tls(error: &rustls::Error) -> Option<String> {
    use CertificateError as C;
    Some(match error {
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "its certificate has expired: make a new one".into()
        }
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "its certificate is not valid yet: is one of the clocks wrong?".into()
        }
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "its certificate is foreign: another authority than this world's has signed it".into()
        }
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "its certificate is that of another node".into()
        }
        rustls::Error::InvalidCertificate(other) => format!("its certificate is not usable: {other:?}"),
        rustls::Error::NoCertificatesPresented => "it shows no certificate".into(),
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "it refuses this node's certificate, which has expired for it: make a new one".into()
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::DecryptError | AlertDescription::BadCertificate,
        ) => "it refuses this node's certificate: another authority than that of its world has signed it"
            .into(),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of this node".into()
        }
        rustls::Error::AlertReceived(alert) => format!("it ends TLS: {alert:?}"),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: one of the two has no certificates".into()
        }
        _ => return None,
    })
}

/// What to say of an error: the cause that an operator can do something about, or the innermost one.
pub(crate) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    loop {
        let tls = inner.downcast_ref::<rustls::Error>();
        let boxed = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let boxed_tls = boxed.and_then(|error| error.downcast_ref::<rustls::Error>());
        if let Some(words) = tls.or(boxed_tls).and_then(of_tls) {
            return words;
        }
        let next = inner.source().or(boxed.map(|error| error as &(dyn Error + 'static)));
        let Some(next) = next else { break };
        inner = next;
    }
    let words = inner.to_string();
    if words.is_empty() { error.to_string() } else { words }
}
