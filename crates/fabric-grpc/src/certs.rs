//! Makes a world's authority and the certificates of its nodes, as files that only their owner can read.
//!
//! `authority.pem` and `node-7.pem` are certificates, `authority-key.pem` and `node-7-key.pem` their private keys. The authority's key
//! is needed to make certificates only: keep it off the nodes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use gundo_tls::{FileFault, operator_name};
use gundo_types::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::fault::CertFault;
use crate::tls::{TlsFiles, name_of};

/// How long an authority is valid, days.
pub const AUTHORITY_DAYS: u32 = 3_650;
/// How long a node's certificate is valid unless something else is said, days.
pub const NODE_DAYS: u32 = 365;
/// Machines' clocks may be this far behind.
const CLOCKS_DIFFER: Duration = Duration::hours(1);

/// The files of an operator in a directory of certificates: `operator-ada.pem` and `operator-ada-key.pem`.
pub fn files_of_operator(directory: &Path, operator: &str) -> TlsFiles {
    TlsFiles {
        authority: directory.join("authority.pem"),
        certificate: directory.join(format!("operator-{operator}.pem")),
        key: directory.join(format!("operator-{operator}-key.pem")),
    }
}

/// The files of a node in a directory of certificates.
pub fn files_of(directory: &Path, node: NodeId) -> TlsFiles {
    TlsFiles {
        authority: directory.join("authority.pem"),
        certificate: directory.join(format!("node-{}.pem", node.0)),
        key: directory.join(format!("node-{}-key.pem", node.0)),
    }
}

/// The authority's name. That there is only one authority with this key makes it the world's.
const AUTHORITY: &str = "Gundo authority of a world";

/// Makes the authority of a world, unless it is there. Returns whether it was made.
///
/// # Errors
/// Its files cannot be written, or only one of them is there.
pub fn make_authority(directory: &Path) -> Result<bool, CertFault> {
    let (certificate, key) = (directory.join("authority.pem"), directory.join("authority-key.pem"));
    match (certificate.exists(), key.exists()) {
        (true, true) => return Ok(false),
        (false, false) => {}
        (_, has_key) => {
            let (path, other) = if has_key { (key, certificate) } else { (certificate, key) };
            let why = format!("{} is missing beside it: put it back, or remove both", other.display());
            return Err(FileFault::Unusable { path, why }.into());
        }
    }
    let keys = KeyPair::generate()?;
    let signed = authority().self_signed(&keys)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| CertFault::Write { path: directory.to_owned(), source })?;
    write(&key, &keys.serialize_pem())?;
    write(&certificate, &signed.pem())?;
    Ok(true)
}

/// Makes a node's certificate, in place of the one that is there. A node that runs takes it without a restart.
///
/// # Errors
/// The authority's files cannot be read, or the node's not written.
pub fn make_node(directory: &Path, node: NodeId, days: u32) -> Result<TlsFiles, CertFault> {
    let mut params = CertificateParams::new(vec![name_of(node)])?;
    params.distinguished_name = named(&format!("Gundo node {}", node.0));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let files = files_of(directory, node);
    make(directory, params, days, &files)?;
    Ok(files)
}

/// Makes an operator's certificate: its holder may act on the world at addresses for operators, without the token. It is no node's.
///
/// # Errors
/// As [`make_node`]; or the operator's name is not one.
pub fn make_operator(directory: &Path, operator: &str, days: u32) -> Result<TlsFiles, CertFault> {
    let name = operator_name(operator).ok_or_else(|| CertFault::Operator(operator.to_owned()))?;
    let mut params = CertificateParams::new(vec![name])?;
    params.distinguished_name = named(&format!("Gundo operator {operator}"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let files = files_of_operator(directory, operator);
    make(directory, params, days, &files)?;
    Ok(files)
}

/// Signs a certificate and writes it and its key.
fn make(
    directory: &Path,
    mut params: CertificateParams,
    days: u32,
    files: &TlsFiles,
) -> Result<(), CertFault> {
    let path = directory.join("authority-key.pem");
    let text = fs::read_to_string(&path).map_err(|source| FileFault::Read { path: path.clone(), source })?;
    let key = KeyPair::from_pem(&text)
        .map_err(|error| FileFault::Unusable { path, why: format!("no private key: {error}") })?;
    let authority = Issuer::new(authority(), key);
    let keys = KeyPair::generate()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(days);
    let signed = params.signed_by(&keys, &authority)?;
    // A node that reads between the two finds a key that does not fit, and looks again.
    write(&files.key, &keys.serialize_pem())?;
    write(&files.certificate, &signed.pem())
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = named(AUTHORITY);
    (params.not_before, params.not_after) = validity(AUTHORITY_DAYS);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn validity(days: u32) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - CLOCKS_DIFFER, now + Duration::days(days.into()))
}

/// Writes a file that only its owner can read: whole, or not at all.
fn write(path: &Path, text: &str) -> Result<(), CertFault> {
    let beside = path.with_extension("new");
    let whole = || {
        // What a call that was killed has left behind.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    whole().map_err(|source| CertFault::Write { path: path.to_owned(), source })
}
