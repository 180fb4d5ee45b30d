//! Certificates of a world's own authority at the address for operators: who somebody is, by the name in the certificate.
//!
//! `node-7.gundo` is node 7, and `ada.operator.gundo` is the operator Ada. The server's end shows a node's certificate, and accepts
//! clients with any certificate of the authority or with none: who may do what is for the caller. The clients' end talks to nodes of the
//! world only, whatever their addresses are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    RootCertStore, ServerConfig, SignatureScheme,
};
use webpki::EndEntityCert;

use crate::{FileFault, KeyFiles, Look, Watched, certificates, private_key, provider};

const OPERATOR: &str = ".operator.gundo";

/// Who a certificate of the world's authority is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// An operator, by this name.
    Operator(String),
    /// A node, by its number.
    Node(u16),
    /// Somebody else.
    Other,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "the operator {name}"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::Other => f.write_str("somebody else"),
        }
    }
}

/// The name in an operator's certificate. `None`: an operator's name has 1 to 32 small letters, digits and hyphens, letters or digits at
/// both ends.
pub fn operator_name(operator: &str) -> Option<String> {
    let is_end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = operator.as_bytes();
    let is_well = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    let fits = is_well && bytes.len() <= 32 && is_end(bytes.first()) && is_end(bytes.last());
    fits.then(|| format!("{operator}{OPERATOR}"))
}

/// The number of the node that a name is of.
fn node_of(name: &str) -> Option<u16> {
    name.strip_prefix("node-")?.strip_suffix(".gundo")?.parse().ok()
}

/// Who a certificate is of that a handshake has accepted.
pub fn role_of(certificate: &CertificateDer<'_>) -> Role {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Role::Other };
    let is_for = |name: &str| {
        let name = ServerName::try_from(name.to_owned());
        name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    };
    // A name with a star in it is none of these.
    let operator = certificate.valid_dns_names().find_map(|name| {
        let operator = name.strip_suffix(OPERATOR)?;
        (operator_name(operator).is_some() && is_for(name)).then(|| operator.to_owned())
    });
    let node = || certificate.valid_dns_names().find_map(|name| node_of(name).filter(|_| is_for(name)));
    operator.map(Role::Operator).or_else(|| node().map(Role::Node)).unwrap_or(Role::Other)
}

/// The files at the address for operators: PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorFiles {
    /// The certificates of the world's authority: more than one while it is replaced.
    pub authority: PathBuf,
    /// The own certificate and its key: a node's, an operator's.
    pub own: KeyFiles,
}

/// The server's end at the address for operators, as of now.
pub struct OperatorTls {
    files: OperatorFiles,
    config: Watched<Arc<ServerConfig>>,
}

impl OperatorTls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, do not belong together, or no operator would take the certificate today.
    pub fn load(files: OperatorFiles) -> Result<Self, FileFault> {
        let all = all_of(&files);
        let again = files.clone();
        Ok(Self { config: Watched::load(all, move || server(&again))?, files })
    }

    /// For the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.now()
    }

    /// Reads the files again if they have changed. Files that are not usable change nothing. Says so in the log.
    pub fn look(&self) {
        say(self.config.look(), &self.files.own.certificate);
    }
}

impl fmt::Debug for OperatorTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OperatorTls").field(&self.files).finish()
    }
}

/// What a client of nodes needs for its connections, as of now.
pub struct OperatorClient {
    files: OperatorFiles,
    config: Watched<Arc<ClientConfig>>,
}

impl OperatorClient {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn load(files: OperatorFiles) -> Result<Self, FileFault> {
        let all = all_of(&files);
        let again = files.clone();
        let load = move || client(&again.authority, Some(&again.own));
        Ok(Self { config: Watched::load(all, load)?, files })
    }

    /// For the next connection: files that have changed are read before.
    pub fn config(&self) -> Arc<ClientConfig> {
        say(self.config.look(), &self.files.own.certificate);
        self.config.now()
    }
}

impl fmt::Debug for OperatorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OperatorClient").field(&self.files).finish()
    }
}

/// What a client of nodes needs that shows a certificate, or none.
///
/// # Errors
/// As [`OperatorClient::load`].
pub fn operator_client(authority: &Path, own: Option<&KeyFiles>) -> Result<Arc<ClientConfig>, FileFault> {
    client(authority, own)
}

/// What is wrong, in words for an operator whose request was not heard. `None`: it has nothing to do with certificates.
pub fn operator_words(error: &Error) -> Option<String> {
    use AlertDescription as A;
    use CertificateError as C;
    let words = match error {
        Error::AlertReceived(A::CertificateExpired) => {
            "the world refuses your certificate, which has expired: make a new one (`certs --operator NAME`)"
        }
        Error::AlertReceived(A::UnknownCA | A::DecryptError | A::BadCertificate | A::CertificateUnknown) => {
            "the world refuses your certificate: another world's authority has signed it"
        }
        Error::AlertReceived(A::UnsupportedCertificate) => {
            "the world refuses your certificate: it is none for clients"
        }
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "the node's certificate has expired: make a new one (`certs --node N`)"
        }
        Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "the node's certificate is not valid yet: is one of the clocks wrong?"
        }
        Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "what answers is no node of your world: another authority has signed its certificate"
        }
        Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "what answers has a certificate, and it is not that of a node"
        }
        Error::InvalidMessage(_) => {
            "what answers does not speak TLS: is it the address for operators (`admin_tls`)?"
        }
        _ => return None,
    };
    Some(words.to_owned())
}

fn all_of(files: &OperatorFiles) -> Vec<PathBuf> {
    vec![files.authority.clone(), files.own.certificate.clone(), files.own.key.clone()]
}

fn say(look: Look, file: &Path) {
    let file = file.display();
    match look {
        Look::Same => {}
        Look::Changed => {
            tracing::info!(%file, "the certificate for operators has changed: new connections get the new one")
        }
        Look::Unusable(error) => {
            tracing::warn!(%error, "the certificate for operators has changed and is not usable: the earlier one stays in use");
        }
    }
}

fn unusable(path: &Path, why: impl fmt::Display) -> FileFault {
    FileFault::Unusable { path: path.to_owned(), why: why.to_string() }
}

fn roots_of(authority: &Path) -> Result<Arc<RootCertStore>, FileFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| unusable(authority, error))?;
    }
    Ok(Arc::new(roots))
}

fn server(files: &OperatorFiles) -> Result<Arc<ServerConfig>, FileFault> {
    let roots = roots_of(&files.authority)?;
    let own = certificates(&files.own.certificate)?;
    let verify = Nodes::new(&roots).map_err(|error| unusable(&files.authority, error))?;
    let nobody = ServerName::try_from("node.gundo").expect("a name");
    verify.verify_server_cert(&own[0], &own[1..], &nobody, &[], UnixTime::now()).map_err(|error| {
        let words = operator_words(&error).unwrap_or_else(|| error.to_string());
        unusable(&files.own.certificate, format!("operators would say: {words}"))
    })?;
    let key = private_key(&files.own.key)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&files.authority, error))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3")
        .with_client_cert_verifier(clients)
        .with_single_cert(own, key)
        .map_err(|error| unusable(&files.own.key, format!("not the key of the certificate: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A certificate is checked with each connection: none is resumed.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn client(authority: &Path, own: Option<&KeyFiles>) -> Result<Arc<ClientConfig>, FileFault> {
    let roots = roots_of(authority)?;
    let nodes = Nodes::new(&roots).map_err(|error| unusable(authority, error))?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(nodes));
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => config
            .with_client_auth_cert(certificates(&own.certificate)?, private_key(&own.key)?)
            .map_err(|error| unusable(&own.key, format!("not the key of the certificate: {error}")))?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Accepts servers that are nodes of the world, whatever their addresses are.
#[derive(Debug)]
struct Nodes(Arc<WebPkiServerVerifier>);

impl Nodes {
    fn new(roots: &Arc<RootCertStore>) -> Result<Self, rustls::client::VerifierBuilderError> {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider()).build().map(Self)
    }
}

impl ServerCertVerifier for Nodes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name by which it is checked is that of the node which it says it is. One that is no node fails by the name that was called,
        // after everything else has been checked.
        let node = match role_of(end_entity) {
            Role::Node(node) => ServerName::try_from(format!("node-{node}.gundo")).ok(),
            Role::Operator(_) | Role::Other => None,
        };
        let name = node.as_ref().unwrap_or(server_name);
        let verified = self.0.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)?;
        match node {
            Some(_) => Ok(verified),
            None => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

#[cfg(test)]
#[path = "operators_tests.rs"]
mod tests;
