//! The server's end for clients: one certificate, as anybody's browser knows them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::version::TLS13;
use webpki::{EndEntityCert, KeyUsage};

use crate::{FileFault, Look, WARN_BEFORE, Watched, certificates, private_key, provider};

/// The files of a server: PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// Its certificate, and behind it those of the authorities between it and one that clients know.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// A server's certificate, as of now.
pub struct ServerTls {
    files: KeyFiles,
    config: Watched<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, do not belong together, or no client would take the certificate today.
    pub fn load(files: KeyFiles) -> Result<Self, FileFault> {
        let all = vec![files.certificate.clone(), files.key.clone()];
        let again = files.clone();
        Ok(Self { config: Watched::load(all, move || config(&again))?, files })
    }

    /// For the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.now()
    }

    /// Reads the files again if they have changed. Files that are not usable change nothing. Says so in the log.
    pub fn look(&self) {
        let file = self.files.certificate.display();
        match self.config.look() {
            Look::Same => {}
            Look::Changed => {
                tracing::info!(%file, "the clients' certificate has changed: new connections get the new one");
            }
            Look::Unusable(error) => {
                tracing::warn!(%error, "the clients' certificate has changed and is not usable: the earlier one stays in use");
            }
        }
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServerTls").field(&self.files).finish()
    }
}

fn config(files: &KeyFiles) -> Result<Arc<ServerConfig>, FileFault> {
    let own = certificates(&files.certificate)?;
    check(&own[0], UnixTime::now())
        .map_err(|why| FileFault::Unusable { path: files.certificate.clone(), why })?;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + WARN_BEFORE;
    if check(&own[0], UnixTime::since_unix_epoch(soon)).is_err() {
        let file = files.certificate.display();
        tracing::warn!(%file, "the clients' certificate ends within 14 days: renew it");
    }
    let key = private_key(&files.key)?;
    let unusable = |why: String| FileFault::Unusable { path: files.key.clone(), why };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(own, key)
        .map_err(|error| unusable(format!("not the key of the certificate: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Clients that come back skip the signature: after a restart all come at once. Nothing is kept here for that.
    config.ticketer = Ticketer::new().map_err(|error| unusable(error.to_string()))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Whether a client would take the certificate at a time, as far as that can be told without its authority.
fn check(certificate: &CertificateDer<'_>, at: UnixTime) -> Result<(), String> {
    use webpki::Error as E;
    let certificate =
        EndEntityCert::try_from(certificate).map_err(|error| format!("no certificate: {error}"))?;
    let known = webpki::ALL_VERIFICATION_ALGS;
    match certificate.verify_for_usage(known, &[], &[], at, KeyUsage::server_auth(), None, None) {
        Err(E::CertExpired { .. }) => Err("it has expired: renew it".to_owned()),
        Err(E::CertNotValidYet { .. }) => {
            Err("it is not valid yet: is this machine's clock wrong?".to_owned())
        }
        Err(E::RequiredEkuNotFoundContext(_)) => Err("it is not one for servers".to_owned()),
        // Nobody is trusted here, so the last word is that its authority is unknown. One that is an authority itself, as `openssl req
        // -x509` makes them, is taken by browsers.
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
