//! Certificates and keys in PEM files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::FileFault;

/// Bytes of a file with certificates or a key. What is beyond is not read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All certificates in a file, at least one.
///
/// # Errors
/// The file cannot be read, or has something else in it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let unusable = |why| FileFault::Unusable { path: path.to_owned(), why };
    let all: Vec<_> = CertificateDer::pem_slice_iter(&contents(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(format!("no certificate: {error}")))?;
    if all.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(all) }
}

/// The private key in a file.
///
/// # Errors
/// As above.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileFault> {
    PrivateKeyDer::from_pem_slice(&contents(path)?).map_err(|error| FileFault::Unusable {
        path: path.to_owned(),
        why: format!("no private key: {error}"),
    })
}

fn contents(path: &Path) -> Result<Vec<u8>, FileFault> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| FileFault::Read { path: path.to_owned(), source })
}
