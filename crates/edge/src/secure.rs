//! TLS at the door: the handshake, and what callers without TLS are told.
//!
//! A connection that begins as TLS does is taken for TLS. Anything else is HTTP without TLS on the same port, and gets one line that
//! says what to do; only health, and operators on this machine, are served that way.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use gundo_tls::rustls::{AlertDescription, Error, ServerConfig};
use gundo_tls::{OperatorTls, ServerTls};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::files::Seldom;
use crate::front::Caller;
use crate::stream::Stream;

/// The first byte of TLS. No method of HTTP begins with it.
const FIRST_OF_TLS: u8 = 0x16;

/// The certificates of an address.
#[derive(Clone)]
pub(crate) enum Certificates {
    /// For players.
    Players(Arc<ServerTls>),
    /// For operators, who may show one too.
    Operators(Arc<OperatorTls>),
}

impl Certificates {
    fn config(&self) -> Arc<ServerConfig> {
        match self {
            Self::Players(tls) => tls.config(),
            Self::Operators(tls) => tls.config(),
        }
    }

    /// Reads the files again if they have changed.
    pub(crate) fn look(&self) {
        match self {
            Self::Players(tls) => tls.look(),
            Self::Operators(tls) => tls.look(),
        }
    }
}

/// What came in.
pub(crate) enum Entered {
    Secure(Stream),
    /// Without TLS, where there should be some.
    Bare(Stream),
}

/// The handshakes of a front.
pub(crate) struct Handshakes {
    tls: Certificates,
    patience: Duration,
    refusals: Mutex<Seldom>,
}

impl Handshakes {
    pub(crate) fn new(tls: Certificates, patience: Duration) -> Self {
        Self { tls, patience, refusals: Mutex::default() }
    }

    /// Lets a connection in. `None`: it ends here.
    pub(crate) async fn enter(&self, socket: TcpStream) -> Option<Entered> {
        match timeout(self.patience, self.shake(socket)).await {
            Ok(Ok(entered)) => Some(entered),
            Ok(Err(error)) => {
                match self.tls {
                    Certificates::Players(_) => self.complain(&error),
                    Certificates::Operators(_) => self.complain_of(&error),
                }
                None
            }
            Err(_) => None,
        }
    }

    async fn shake(&self, socket: TcpStream) -> io::Result<Entered> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [FIRST_OF_TLS] {
            return Ok(Entered::Bare(Stream::Plain(socket)));
        }
        let stream = TlsAcceptor::from(self.tls.config()).accept(socket).await?;
        Ok(Entered::Secure(Stream::Secure(Box::new(stream))))
    }

    /// Somebody at the address for operators has a certificate that is not good here.
    fn complain_of(&self, error: &io::Error) {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let Some(Error::InvalidCertificate(why)) = inner else { return };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = refusals.happened(Instant::now()) {
            tracing::warn!(times, last = ?why, "certificates at the address for operators are not accepted");
        }
    }

    /// Strangers' nonsense is of no interest. That clients do not want the certificate is.
    fn complain(&self, error: &io::Error) {
        use AlertDescription as A;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let Some(Error::AlertReceived(alert)) = inner else { return };
        let blames_certificate = matches!(
            alert,
            A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
        );
        if !blames_certificate {
            return;
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = refusals.happened(Instant::now()) {
            tracing::warn!(clients, last = ?alert, "clients do not accept this world's certificate");
        }
    }
}

/// What callers without TLS reach besides health: `operators` if they are on this machine, where nobody listens in.
pub(crate) fn bare(operators: Router) -> Router {
    operators.fallback(told).layer(middleware::from_fn(local))
}

async fn local(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    if caller.is_some_and(|caller| caller.is_local) { next.run(request).await } else { told(request).await }
}

/// The one line.
async fn told(request: Request) -> Response {
    let headers = request.headers();
    let is_socket = headers.get(header::UPGRADE).is_some();
    let Some(host) = name_of(headers) else {
        return (StatusCode::BAD_REQUEST, "this world speaks TLS: use https:// or wss://\n").into_response();
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let to = format!("{}://{host}{path}", if is_socket { "wss" } else { "https" });
    let line = format!("this world speaks TLS: use {to}\n");
    if is_socket {
        // Clients of WebSockets follow no redirections.
        return (StatusCode::BAD_REQUEST, line).into_response();
    }
    let kept = [(header::LOCATION, to.as_str()), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::TEMPORARY_REDIRECT, kept, line).into_response()
}

/// The name that was called, if it is one to send people to.
fn name_of(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    (!host.is_empty() && host.bytes().all(is_name)).then_some(host)
}
