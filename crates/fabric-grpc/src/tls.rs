//! Mutual TLS between the nodes of a world: who may connect, and certificates that are read again when their files change.
//!
//! Every node has a certificate that the world's own authority has signed, for the name `node-7.gundo`. Both sides check it, by that
//! name, so a node's certificate lets nobody be another node. Addresses do not matter. TLS 1.3 only.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gundo_tls::{FileFault, Look, WARN_BEFORE, Watched, certificates, private_key, provider};
use gundo_types::NodeId;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use crate::fault::{CertFault, words_of};

/// The files that a node needs: PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the world's authority: more than one while it is replaced.
    pub authority: PathBuf,
    /// The node's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The name in a node's certificate.
pub fn name_of(node: NodeId) -> String {
    format!("node-{}.gundo", node.0)
}

fn server_name(node: NodeId) -> ServerName<'static> {
    ServerName::try_from(name_of(node)).expect("it is a name of letters, digits and a dot")
}

/// What was read from the files.
#[derive(Clone)]
struct Loaded {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// The certificates of a node, as of now.
pub(crate) struct Tls {
    node: NodeId,
    loaded: Watched<Loaded>,
}

impl Tls {
    /// Reads the files, and checks that this node's peers would take them.
    pub(crate) fn load(node: NodeId, files: TlsFiles) -> Result<Self, CertFault> {
        let all = vec![files.authority.clone(), files.certificate.clone(), files.key.clone()];
        Ok(Self { node, loaded: Watched::load(all, move || load(node, &files))? })
    }

    /// For the next connection that this node dials, and the name that the peer must have.
    pub(crate) fn client(&self, peer: NodeId) -> (Arc<ClientConfig>, ServerName<'static>) {
        (self.loaded.now().client, server_name(peer))
    }

    /// For the next connection that this node accepts.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.loaded.now().server
    }

    /// Reads the files again if they have changed. Files that are not usable change nothing.
    pub(crate) fn look(&self) {
        let node = self.node.0;
        match self.loaded.look() {
            Look::Same => {}
            Look::Changed => {
                tracing::info!(node, "the certificates have changed: new connections use the new ones");
            }
            Look::Unusable(error) => {
                tracing::warn!(node, %error, "the certificates have changed and are not usable: the earlier ones stay in use");
            }
        }
    }
}

/// Whether a certificate that the handshake has accepted is that of this node.
pub(crate) fn is_of(certificate: &CertificateDer<'_>, node: NodeId) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&server_name(node)).is_ok())
}

fn load(node: NodeId, files: &TlsFiles) -> Result<Loaded, FileFault> {
    let unusable = |path: &Path, why: String| FileFault::Unusable { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.authority)? {
        roots.add(certificate).map_err(|error| unusable(&files.authority, words_of(&error)))?;
    }
    let (roots, own) = (Arc::new(roots), certificates(&files.certificate)?);
    let provider = provider();
    let verify = verifier(&roots, &provider).map_err(|why| unusable(&files.authority, why))?;
    let verdict = |at: UnixTime| verify.verify_server_cert(&own[0], &own[1..], &server_name(node), &[], at);
    verdict(UnixTime::now()).map_err(|error| unusable(&files.certificate, own_words(node, &error)))?;
    if verdict(soon()).is_err() {
        let file = files.certificate.display();
        tracing::warn!(node = node.0, %file, "the node's certificate ends within 14 days: make a new one");
    }
    let key = private_key(&files.key)?;
    let not_its = |error: Error| unusable(&files.key, format!("not the key of the certificate: {error}"));
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(&files.authority, error.to_string()))?;
    let versions = "ring knows TLS 1.3";
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect(versions)
        .with_client_cert_verifier(clients)
        .with_single_cert(own.clone(), key.clone_key())
        .map_err(not_its)?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect(versions)
        .with_root_certificates(roots)
        .with_client_auth_cert(own, key)
        .map_err(not_its)?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    client.alpn_protocols = vec![b"h2".to_vec()];
    // A certificate is checked with each connection: none is resumed.
    server.send_tls13_tickets = 0;
    client.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    Ok(Loaded { client: Arc::new(client), server: Arc::new(server) })
}

fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

/// What is wrong with a node's own certificate.
fn own_words(node: NodeId, error: &Error) -> String {
    format!("peers of node {} would say: {}", node.0, words_of(error))
}

fn soon() -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(now + WARN_BEFORE)
}
