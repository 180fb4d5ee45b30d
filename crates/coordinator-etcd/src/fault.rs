//! What etcd's errors mean, in one sentence each.

use std::error::Error as _;

use etcd_client::Error;

/// What etcd says about a lease that has ended.
const NO_LEASE: &str = "requested lease not found";

/// What it says about a lease that is there.
const LEASE_EXISTS: &str = "lease already exists";

/// Why a request to etcd failed. It may have been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody answered in time.
    Unanswered,
    /// It may go better at another member, or in a moment.
    Passing(String),
    /// The member belongs to another cluster.
    Mixed(String),
    /// It fails everywhere until somebody changes something.
    Lasting(String),
}

impl Fault {
    /// What the error of the member at `url` means.
    pub(crate) fn of(url: &str, error: &Error) -> Self {
        let at = |what: &str| format!("etcd at {url}: {what}");
        let text = root(error);
        if let Some(what) = lasting(&text) {
            return Self::Lasting(at(what));
        }
        // tonic's codes are not re-exported as a type of our own: their numbers are gRPC's, which never change.
        const DENIED: i32 = 7;
        match error {
            Error::GRpcStatus(status) if status.code() as i32 == DENIED => Self::Lasting(at(
                "its user has no right to these keys: grant it readwrite on the world's prefix",
            )),
            Error::InvalidArgs(_) | Error::InvalidUri(_) => Self::Lasting(at(&text)),
            _ if text.contains("invalid peer certificate") => Self::Passing(at(&format!(
                "its certificate is not accepted ({text}): the CA file must be of the authority that signed it, for this name"
            ))),
            _ if text.contains("received fatal alert") => Self::Passing(at(&format!(
                "it does not accept our certificate ({text}): it wants one that its own trusted CA signed"
            ))),
            _ if text.contains("InvalidContentType") || text.contains("tls handshake eof") => {
                Self::Passing(at("it does not encrypt: the endpoint may have to begin with http://"))
            }
            _ => Self::Passing(at(&text)),
        }
    }

    /// The sentence.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Unanswered => "no member of etcd answers".into(),
            Self::Passing(what) | Self::Mixed(what) | Self::Lasting(what) => what,
        }
    }
}

/// Whether a request failed because the lease has ended.
pub(crate) fn is_no_lease(error: &Error) -> bool {
    matches!(error, Error::LeaseKeepAliveError(_)) || says(error, NO_LEASE)
}

/// Whether a grant failed because the lease is there.
pub(crate) fn is_lease_there(error: &Error) -> bool {
    says(error, LEASE_EXISTS)
}

/// Whether the connection broke, or was never there.
pub(crate) fn is_broken(error: &Error) -> bool {
    match error {
        Error::TransportError(_) => true,
        Error::GRpcStatus(status) => status.source().is_some(),
        _ => false,
    }
}

fn says(error: &Error, what: &str) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.message().contains(what))
}

fn lasting(text: &str) -> Option<&'static str> {
    const SENTENCES: [(&str, &str); 5] = [
        ("invalid user ID or password", "wrong user name or password"),
        ("user name is empty", "it wants a user: name one, and the file of its password"),
        (
            "authentication is not enabled",
            "it knows no users, but one is set: switch its authentication on or name no user",
        ),
        ("invalid auth token", "it does not accept our token: the user or its password has changed"),
        (
            "database space exceeded",
            "it is full (its quota) and takes no changes: compact and defragment it, then `etcdctl alarm disarm`",
        ),
    ];
    SENTENCES.iter().find(|(part, _)| text.contains(part)).map(|(_, sentence)| *sentence)
}

/// The innermost cause: what lies around it repeats that something failed.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = match error {
        Error::GRpcStatus(status) => match status.source() {
            Some(source) => source,
            None => return status.message().to_owned(),
        },
        Error::TransportError(error) => error,
        _ => return error.to_string(),
    };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
