//! The clients' end: whom they trust.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};

use crate::{FileFault, certificates, provider};

/// Whose word about servers a client believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this machine trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as for other programs.
    #[default]
    System,
    /// Those in a file, PEM, and no other.
    Authority(PathBuf),
}

/// What a client needs for its connections. Reading the system's authorities takes milliseconds: do it once.
///
/// # Errors
/// The file cannot be used, or the system trusts nobody.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, FileFault> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            // Some systems have a few that cannot be read; those that can are enough.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(FileFault::NoAuthorities);
            }
        }
        Trust::Authority(path) => {
            for certificate in certificates(path)? {
                let unusable =
                    |error: rustls::Error| FileFault::Unusable { path: path.clone(), why: error.to_string() };
                roots.add(certificate).map_err(unusable)?;
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A host as certificates name it.
///
/// # Errors
/// It is neither a name nor an address.
pub fn server_name(host: &str) -> std::io::Result<ServerName<'static>> {
    let bad = |_| std::io::Error::other(format!("`{host}` is no name that a certificate could have"));
    ServerName::try_from(host.to_owned()).map_err(bad)
}
