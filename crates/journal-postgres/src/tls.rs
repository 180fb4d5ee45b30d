//! TLS to the database. The server's certificate is always checked, and so is that it was made for the host that we have named.
//!
//! The files are read again for each connection: a new certificate counts without a restart. No key is kept or printed.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, NoTls, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Error, Socket};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as RustlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::PostgresSettings;
use crate::open::OpenError;

/// The files for TLS to the database: PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresTls {
    /// The certificates of the authority that signed the server's.
    pub ca: PathBuf,
    /// Our own certificate and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a connection is made: encrypted, or not.
#[derive(Clone)]
pub(crate) enum Dialer {
    Plain,
    Tls(Rustls),
}

impl Dialer {
    /// What the settings say, with the files as they are now. It also settles `sslmode` in `config`: with an authority nothing goes
    /// unencrypted; without one nobody could be checked, and an operator who asks for encryption is told so.
    pub(crate) fn new(settings: &PostgresSettings, config: &mut Config) -> Result<Self, OpenError> {
        match (&settings.tls, config.get_ssl_mode()) {
            (None, SslMode::Disable | SslMode::Prefer) => {
                config.ssl_mode(SslMode::Disable);
                Ok(Self::Plain)
            }
            (Some(_), SslMode::Disable) => Err(OpenError::SslMode {
                why: "the connection string says sslmode=disable, and an authority for TLS is given: leave one of them out",
            }),
            (None, _) => Err(OpenError::SslMode {
                why: "the connection string asks for encryption, and nothing says whose certificate counts: name the authority's file \
                      (`ca`)",
            }),
            (Some(files), _) => {
                config.ssl_mode(SslMode::Require);
                Ok(Self::Tls(Rustls { config: Arc::new(client_config(files)?) }))
            }
        }
    }

    pub(crate) async fn connect(&self, config: &Config) -> Result<Client, Error> {
        match self {
            Self::Plain => connect(config, NoTls).await,
            Self::Tls(tls) => connect(config, tls.clone()).await,
        }
    }

    /// Asks the server to end what the connection waits for.
    pub(crate) async fn cancel(&self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Plain => client.cancel_token().cancel_query(NoTls).await,
            Self::Tls(tls) => client.cancel_token().cancel_query(tls.clone()).await,
        }
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    // It ends when the client is dropped. Its error reaches the caller that waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// The connection string with the words of libpq that the driver does not know as those that mean the same here: every certificate is
/// checked with the host's name.
pub(crate) fn plain_words(server: &str) -> String {
    server.replace("sslmode=verify-full", "sslmode=require")
}

/// Whether the driver failed while it began TLS.
pub(crate) fn is_tls(error: &Error) -> bool {
    // The driver tells its kinds of errors only in words.
    error.to_string().starts_with("error performing TLS handshake")
}

fn client_config(files: &PostgresTls) -> Result<ClientConfig, OpenError> {
    let unusable = |path: &Path, why: String| OpenError::TlsFile { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| unusable(&files.ca, error.to_string()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions")
        .with_root_certificates(roots);
    let Some((certificate, key_file)) = &files.identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(&contents(key_file)?)
        .map_err(|error| unusable(key_file, format!("no private key: {error}")))?;
    builder
        .with_client_auth_cert(certificates(certificate)?, key)
        .map_err(|error| unusable(key_file, format!("not the key of the certificate: {error}")))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let unusable = |why: String| OpenError::TlsFile { path: path.to_owned(), why };
    let all: Vec<_> = CertificateDer::pem_slice_iter(&contents(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(format!("no certificate: {error}")))?;
    if all.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(all) }
}

fn contents(path: &Path) -> Result<Vec<u8>, OpenError> {
    fs::read(path).map_err(|error| OpenError::TlsFile { path: path.to_owned(), why: error.to_string() })
}

/// Makes rustls the driver's TLS.
#[derive(Clone)]
pub(crate) struct Rustls {
    config: Arc<ClientConfig>,
}

impl MakeTlsConnect<Socket> for Rustls {
    type Stream = Stream;
    type TlsConnect = Handshake;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, host: &str) -> std::io::Result<Handshake> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| std::io::Error::other(format!("{host:?} cannot be in a certificate")))?;
        Ok(Handshake { connector: TlsConnector::from(Arc::clone(&self.config)), name })
    }
}

/// A handshake with one server.
pub(crate) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Stream;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Stream>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(Stream(self.connector.connect(self.name, socket).await?)) })
    }
}

/// An encrypted connection. Without the server's certificate in the driver's hands there is no channel binding: the certificate's check
/// stands for it.
pub(crate) struct Stream(RustlsStream<Socket>);

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
