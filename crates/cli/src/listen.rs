//! The addresses that people write for a server to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use gundo_node::Listen;
use serde::Deserializer;
use serde::de::{self, Visitor};

/// The port of an address that names none.
const PORT_DEFAULT: u16 = 7_600;

/// Reads an address: `127.0.0.1:7600`, `[::1]:7600`, `localhost:7600`; a port alone (`7600`), which is one of this machine only;
/// `:7600` or `*:7600`, which is one of all its IPv4 addresses; or a host alone, with port 7600.
///
/// # Errors
/// Why it is none, in words.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SocketAddr::from((ip, PORT_DEFAULT)));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| format!("`{text}`: a port is a number up to 65535"))?;
            (host, port)
        }
        None => (text, PORT_DEFAULT),
    };
    match host {
        "" | "*" => Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        "[*]" => Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        // The system would take it for an IPv4 address.
        _ if host.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("`{text}`: a port is a number up to 65535"))
        }
        _ => resolve(host, port),
    }
}

/// What a path of a Unix socket begins with.
const UNIX: &str = "unix:";

/// Reads where a process listens for players: an address as above, or `unix:/run/pioneer.sock`.
///
/// # Errors
/// As above.
pub(crate) fn parse_place(text: &str) -> Result<Listen, String> {
    match text.strip_prefix(UNIX) {
        Some("") => Err(format!("`{text}`: no path")),
        Some(path) => Ok(Listen::Socket(path.into())),
        None => parse(text).map(Listen::Address),
    }
}

/// A place in a configuration.
pub(crate) mod place {
    use gundo_node::Listen;
    use serde::{Deserializer, Serializer};

    use super::Written;

    pub(crate) fn serialize<S: Serializer>(place: &Listen, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(place)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Listen, D::Error> {
        from.deserialize_any(Written(super::parse_place))
    }
}

/// The address of a name: an IPv4 address if it has one, because programs try those in any case.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = (host, port).to_socket_addrs().map_err(|error| format!("`{host}` is no address: {error}"))?;
    let found: Vec<_> = found.collect();
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    best.copied().ok_or_else(|| format!("`{host}` has no address"))
}

/// Reads an address from a configuration: a text, or a port alone as a number.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    from.deserialize_any(Written(parse))
}

/// Reads an address that a configuration has.
pub(crate) fn read_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    read(from).map(Some)
}

/// What a text in a configuration is read with.
struct Written<T>(fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address to listen on such as 127.0.0.1:7600, or a port")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(|why| E::custom(format!("no address to listen on: {why}")))
    }

    fn visit_i64<E: de::Error>(self, port: i64) -> Result<T, E> {
        self.visit_str(&port.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_that_people_write_are_taken() {
        for (text, wanted) in [
            ("127.0.0.1:7601", "127.0.0.1:7601"),
            ("[::1]:7601", "[::1]:7601"),
            ("[::]:80", "[::]:80"),
            ("7601", "127.0.0.1:7601"),
            ("0", "127.0.0.1:0"),
            (":7601", "0.0.0.0:7601"),
            ("*:7601", "0.0.0.0:7601"),
            ("[*]:7601", "[::]:7601"),
            ("0.0.0.0", "0.0.0.0:7600"),
            ("::1", "[::1]:7600"),
            ("[::1]", "[::1]:7600"),
            ("localhost:7601", "127.0.0.1:7601"),
            ("localhost", "127.0.0.1:7600"),
        ] {
            assert_eq!(parse(text).map(|address| address.to_string()).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn players_may_come_by_a_unix_socket() {
        let place = parse_place("unix:/run/pioneer.sock").expect("a path");
        assert_eq!(place, Listen::Socket("/run/pioneer.sock".into()));
        assert_eq!(place.to_string(), "unix:/run/pioneer.sock");
        assert_eq!(parse_place("7601"), Ok(Listen::Address(SocketAddr::from(([127, 0, 0, 1], 7_601)))));
        assert!(parse_place("unix:").is_err() && parse("unix:/run/a").is_err());
    }

    #[test]
    fn what_is_no_address_says_why() {
        for text in ["localhost:70000", "localhost:x", "no such host:80", "70000:1:2", "70000"] {
            let why = parse(text).expect_err(text);
            assert!(why.contains('`'), "{why}");
        }
    }
}
