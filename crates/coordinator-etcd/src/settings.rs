//! What an operator sets: where etcd is, which keys are this world's, and the secrets that open it.
//!
//! Secrets are named by file and read when a connection is made, so new ones count from the next connection on. No value here
//! holds one, so nothing can print one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::EtcdError;

/// The shortest lease, ms: etcd grants none that is shorter than one and a half elections.
pub const LEASE_MS_MIN: u64 = 2_000;

/// Longest key prefix, bytes.
pub const PREFIX_BYTES_MAX: usize = 256;

/// A connection that is not there after this time has failed, ms: within [`ANSWER_MS`](gundo_coordinator::ANSWER_MS) others get
/// their turn.
const CONNECT_MS: u64 = 1_000;

/// Pings on a connection with open streams, ms: etcd ends connections that are pinged more often than every 5 s.
const PING_MS: u64 = 6_000;

/// A ping without an answer after this time ends the connection, ms.
const PONG_MS: u64 = 3_000;

/// Settings of an [`EtcdCoordinator`](crate::EtcdCoordinator).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSettings {
    /// Members of one etcd cluster, such as `http://10.0.0.1:2379` or `https://etcd1.example.org:2379`. Name all of them: a call goes
    /// to another one when the first is slow.
    pub endpoints: Vec<String>,
    /// All keys of the world begin with this and a slash. It belongs to one world.
    pub prefix: String,
    /// Id of the world: another world with the same prefix is refused.
    pub world: String,
    /// The cell. Each cell has members of its own.
    pub cell: u32,
    /// A member that does not renew for this long is removed, ms
    /// ([`WorldSettings::membership_ms`](gundo_kernel::WorldSettings::membership_ms)). etcd counts whole seconds: it is rounded up.
    pub lease_ms: u64,
    /// Encryption. Without it, endpoints are `http://`.
    pub tls: Option<EtcdTls>,
    /// The user, where etcd asks for one.
    pub user: Option<EtcdUser>,
}

/// Files in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// The authority that signed the certificates of etcd.
    pub ca: PathBuf,
    /// Our own certificate and its key, where etcd asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A user of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdUser {
    /// The name.
    pub name: String,
    /// The file with the password. White space at its end does not count.
    pub password_file: PathBuf,
}

impl EtcdSettings {
    /// The usual settings for a world: keys below `/gundo/WORLD`, cell 0, a lease of 6,250 ms, neither encryption nor user.
    pub fn new(endpoints: Vec<String>, world: &str) -> Self {
        let lease_ms = gundo_kernel::WorldSettings::default().membership_ms();
        let prefix = format!("/gundo/{world}");
        Self { endpoints, prefix, world: world.to_owned(), cell: 0, lease_ms, tls: None, user: None }
    }

    /// Length of a lease in etcd, s.
    pub(crate) fn lease_s(&self) -> i64 {
        self.lease_ms.div_ceil(1_000) as i64
    }

    /// What is wrong with the settings, before anything is tried with them.
    pub(crate) fn check(&self) -> Result<(), EtcdError> {
        let wrong = |what: String| Err(EtcdError::Settings { what });
        if self.endpoints.is_empty() {
            return wrong(
                "no endpoint of etcd is named: name at least one, such as http://127.0.0.1:2379".into(),
            );
        }
        for endpoint in &self.endpoints {
            let is_tls = endpoint.starts_with("https://");
            if !is_tls && !endpoint.starts_with("http://") {
                return wrong(format!("the endpoint {endpoint} must begin with http:// or https://"));
            }
            if endpoint.contains('@') {
                return wrong(
                    "an endpoint holds no user name: put it and the file of its password into the settings"
                        .into(),
                );
            }
            if is_tls != self.tls.is_some() {
                let what = if is_tls {
                    "needs the file of its authority (CA)"
                } else {
                    "is not encrypted, but certificates are set: write https://"
                };
                return wrong(format!("the endpoint {endpoint} {what}"));
            }
        }
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain(&self.prefix) || self.prefix.ends_with('/') || self.prefix.len() > PREFIX_BYTES_MAX {
            return wrong(format!(
                "the prefix {:?} must be 1 to {PREFIX_BYTES_MAX} visible ASCII characters without a slash at the end",
                self.prefix
            ));
        }
        if !is_plain(&self.world) || self.world.len() > PREFIX_BYTES_MAX {
            return wrong(format!("{:?} is no id of a world", self.world));
        }
        if self.lease_ms < LEASE_MS_MIN {
            return wrong(format!(
                "a lease of {} ms is too short: {LEASE_MS_MIN} ms at least",
                self.lease_ms
            ));
        }
        Ok(())
    }

    /// Options for a new connection, with the files as they are now.
    pub(crate) fn options(&self) -> Result<ConnectOptions, EtcdError> {
        let ms = Duration::from_millis;
        let mut options = ConnectOptions::new()
            .with_connect_timeout(ms(CONNECT_MS))
            .with_keep_alive(ms(PING_MS), ms(PONG_MS))
            .with_keep_alive_while_idle(false)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(tls) = &self.tls {
            let mut with = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&tls.ca)?));
            if let Some((certificate, key)) = &tls.identity {
                with = with.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            options = options.with_tls(with);
        }
        if let Some(user) = &self.user {
            let password = read(&user.password_file)?;
            let password = String::from_utf8(password).map_err(|_| EtcdError::Settings {
                what: format!("{} holds no text", user.password_file.display()),
            })?;
            options = options.with_user(&user.name, password.trim_end());
        }
        Ok(options)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EtcdError> {
    std::fs::read(path).map_err(|error| EtcdError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut EtcdSettings)) -> String {
        let mut settings = EtcdSettings::new(vec!["http://127.0.0.1:2379".into()], "w1");
        settings.check().expect("nothing is wrong with these");
        change(&mut settings);
        settings.check().expect_err("something is wrong").to_string()
    }

    #[test]
    fn wrong_settings_are_named() {
        let tls = || Some(EtcdTls { ca: "ca.pem".into(), identity: None });
        assert!(wrong(|s| s.endpoints.clear()).contains("no endpoint"));
        assert!(wrong(|s| s.endpoints[0] = "127.0.0.1:2379".into()).contains("must begin with http://"));
        assert!(wrong(|s| s.endpoints[0] = "https://127.0.0.1:2379".into()).contains("authority"));
        assert!(wrong(|s| s.tls = tls()).contains("write https://"));
        assert!(wrong(|s| s.prefix = "/gundo/".into()).contains("slash"));
        assert!(wrong(|s| s.prefix.clear()).contains("visible ASCII"));
        assert!(wrong(|s| s.world = "a b".into()).contains("no id"));
        assert!(wrong(|s| s.lease_ms = 1_999).contains("too short"));
        let secret = wrong(|s| s.endpoints[0] = "http://ada:secret@127.0.0.1:2379".into());
        assert!(!secret.contains("secret"), "{secret}");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let mut settings = EtcdSettings::new(vec!["http://127.0.0.1:2379".into()], "w1");
        settings.user = Some(EtcdUser { name: "ada".into(), password_file: "/nowhere/password".into() });
        let error = settings.options().expect_err("there is no file").to_string();
        assert!(error.contains("/nowhere/password"), "{error}");
    }

    #[test]
    fn a_lease_is_rounded_up() {
        let settings = EtcdSettings::new(Vec::new(), "w1");
        assert_eq!((settings.lease_ms, settings.lease_s()), (6_250, 7));
    }
}
