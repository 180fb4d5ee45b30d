//! An authority of its own for a private server: what it signs is trusted by nobody else.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::EngineError;

/// An authority, whose certificates are files in its folder.
pub struct Authority {
    /// The file of its own certificate.
    pub ca: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Where the files of what it signs are: `HOST.pem` and `HOST.key`.
    pub folder: PathBuf,
}

impl Authority {
    /// Makes one with this name, in a folder of the same name.
    ///
    /// # Errors
    /// A file cannot be written, or no certificate can be made.
    pub fn new(parent: &Path, name: &str) -> Result<Self, EngineError> {
        let folder = parent.join(name);
        std::fs::create_dir_all(&folder)?;
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, params.self_signed(&key).map_err(failed)?.pem())?;
        Ok(Self { ca, issuer: Issuer::new(params, key), folder })
    }

    /// A certificate for a host, and its key: two files.
    ///
    /// # Errors
    /// A file cannot be written, or no certificate can be made.
    pub fn sign(&self, host: &str) -> Result<(PathBuf, PathBuf), EngineError> {
        let key = KeyPair::generate().map_err(failed)?;
        let params = CertificateParams::new(vec![host.into()]).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let (at, key_at) = (self.folder.join(format!("{host}.pem")), self.folder.join(format!("{host}.key")));
        std::fs::write(&at, certificate.pem())?;
        std::fs::write(&key_at, key.serialize_pem())?;
        Ok((at, key_at))
    }
}

fn failed(why: rcgen::Error) -> EngineError {
    EngineError::Failed { program: "certificates".to_owned(), what: why.to_string() }
}
