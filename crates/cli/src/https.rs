//! Operators' requests. Over TLS the certificate of the node that answers is checked by the world's authority, and not by its address.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use gundo_tls::rustls::{ClientConfig, ClientConnection, Error, StreamOwned};
use gundo_tls::{operator_words, server_name};

/// Bytes of an answer. What is beyond is cut off, and is no JSON then.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// A request.
pub(crate) struct Request<'a> {
    /// Host and port.
    pub(crate) authority: &'a str,
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// The admin token, if no certificate gives the right.
    pub(crate) token: Option<&'a str>,
    pub(crate) body: &'a str,
    /// How long each step may take.
    pub(crate) patience: Duration,
}

/// What was answered: the status, and the body.
pub(crate) type Answer = (u16, String);

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// Nobody listens there.
    #[error("nobody listens there")]
    Nobody,
    /// In words.
    #[error("{0}")]
    Other(String),
}

/// Asks, and waits for the answer.
pub(crate) fn ask(config: &Arc<ClientConfig>, request: &Request<'_>) -> Result<Answer, Silence> {
    let other = |why: &dyn std::fmt::Display| Silence::Other(why.to_string());
    let Request { authority, method, path, token, body, patience } = request;
    let host = authority.rsplit_once(':').map_or(*authority, |(host, _)| host);
    let name = server_name(host.trim_start_matches('[').trim_end_matches(']')).map_err(|e| other(&e))?;
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(|e| other(&e))?;
    let mut stream = StreamOwned::new(connection, connect(authority, *patience)?);
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    // HTTP/1.0: the answer ends with the connection.
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {authority}\r\n{bearer}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).map_err(|error| words(&error))?;
    let mut answer = Vec::new();
    match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer) {
        // A server that does not say that it ends: what is there is looked at.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        read => drop(read.map_err(|error| words(&error))?),
    }
    read(&answer).ok_or_else(|| Silence::Other("what answers does not speak HTTP".to_owned()))
}

/// Asks without TLS.
pub(crate) fn ask_plain(
    agent: &ureq::Agent,
    method: &str,
    url: &str,
    token: &str,
    body: &str,
) -> Result<Answer, ureq::Error> {
    let bearer = format!("Bearer {token}");
    let mut response = match method {
        "GET" => agent.get(url).header("authorization", bearer).call(),
        _ => agent.post(url).header("authorization", bearer).send(body),
    }?;
    Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
}

fn connect(authority: &str, patience: Duration) -> Result<TcpStream, Silence> {
    let found = authority.to_socket_addrs().map_err(|error| Silence::Other(error.to_string()))?;
    let mut last = Silence::Other("its name has no address".to_owned());
    for address in found {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                let timed = stream.set_read_timeout(Some(patience));
                timed.and_then(|()| stream.set_write_timeout(Some(patience))).map_err(|e| words(&e))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => last = Silence::Nobody,
            Err(error) => last = words(&error),
        }
    }
    Err(last)
}

/// What went wrong, for operators.
fn words(error: &std::io::Error) -> Silence {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    Silence::Other(tls.and_then(operator_words).unwrap_or_else(|| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => error.to_string(),
    }))
}

fn read(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let read = |text: &str| read(text.as_bytes());
        assert_eq!(read("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}"), Some((200, "{}".to_owned())));
        assert_eq!(read("HTTP/1.1 401 Unauthorized\r\n\r\n"), Some((401, String::new())));
        assert_eq!(["", "hello", "HTTP/1.1 x\r\n\r\n", "SSH-2.0\r\n\r\n"].map(read), [const { None }; 4]);
    }
}
