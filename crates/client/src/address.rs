//! Where an edge listens: `ws://host:port/path`, or `wss://` with TLS.

use std::fmt;
use std::str::FromStr;

use gundo_wire::client::Edge;

/// The path of the WebSocket when a URL names none.
const PATH_DEFAULT: &str = "/ws";
/// The port of a URL with a scheme and without a port: without TLS, and with it.
const PORTS_DEFAULT: [u16; 2] = [80, 443];

/// The address of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path of the WebSocket, with its leading slash.
    pub path: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Why a URL is not the address of an edge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not an address of a world: {why} (expected ws://host:port/path or wss://host:port/path)")]
pub struct BadAddress {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(url: &str) -> Result<Self, BadAddress> {
        let bad = |why| BadAddress { url: url.to_owned(), why };
        let (tls, rest) = match url.split_once("://") {
            None => (None, url),
            Some(("ws" | "http", rest)) => (Some(false), rest),
            Some(("wss" | "https", rest)) => (Some(true), rest),
            Some(_) => return Err(bad("the scheme is neither ws nor wss")),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = if path.len() <= 1 { PATH_DEFAULT } else { path };
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']').ok_or_else(|| bad("no ] after the IPv6 address"))?;
                match after.strip_prefix(':') {
                    None if !after.is_empty() => return Err(bad("more than a port after the IPv6 address")),
                    port => (host, port),
                }
            }
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| bad("the port is not a number up to 65535"))?,
            None => PORTS_DEFAULT[usize::from(tls.ok_or_else(|| bad("no port"))?)],
        };
        if port == 0 {
            return Err(bad("port 0"));
        }
        let tls = tls.unwrap_or(false);
        Ok(Self { host: host.to_owned(), port, path: path.to_owned(), tls })
    }
}

impl Address {
    /// Where an edge is that the server's list names, for a client that came by this address: what the list leaves empty is as it is
    /// here. `None`: this client cannot go there.
    pub(crate) fn of_edge(&self, edge: Edge) -> Option<Self> {
        // Both go into the head of a request.
        let is_plain = edge.host.bytes().chain(edge.path.bytes()).all(|b| b.is_ascii_graphic());
        let tls = match edge.scheme.as_str() {
            "" => self.tls,
            "wss" => true,
            // Who came by TLS does not show its key without.
            "ws" if !self.tls => false,
            _ => return None,
        };
        if !is_plain {
            return None;
        }
        let host = if edge.host.is_empty() { self.host.clone() } else { edge.host };
        let port = match edge.port {
            0 => self.port,
            port => u16::try_from(port).ok()?,
        };
        let path = match edge.path.as_str() {
            "" => self.path.clone(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{path}", self.common_path()),
        };
        Some(Self { host, port, path, tls })
    }

    /// The path that the paths of all nodes begin with: without a node's number at its end.
    fn common_path(&self) -> &str {
        let is_number = |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        match self.path.rsplit_once('/') {
            Some((before, last)) if is_number(last) => before,
            _ => self.path.trim_end_matches('/'),
        }
    }

    /// `host:port`, the form that a resolver and the Host header need.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (url, shown) in [
            ("ws://localhost:7600", "ws://localhost:7600/ws"),
            ("ws://localhost:7600/", "ws://localhost:7600/ws"),
            ("http://10.0.0.1:80/play", "ws://10.0.0.1:80/play"),
            ("[::1]:7601", "ws://[::1]:7601/ws"),
            ("ws://play.example.org", "ws://play.example.org:80/ws"),
            ("http://[::1]/game/ws", "ws://[::1]:80/game/ws"),
            ("wss://play.example.org", "wss://play.example.org:443/ws"),
            ("https://localhost:7600/", "wss://localhost:7600/ws"),
        ] {
            let address: Address = url.parse().expect(url);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<Address>().expect(shown), address);
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for url in [
            "",
            "ws://",
            "localhost",
            "[::1",
            "[::1]x:1",
            "ws://:7600",
            "ws://a:0",
            "ws://a:70000",
            "ftp://a:1",
            "wss://",
            "[::1]",
        ] {
            let error = url.parse::<Address>().expect_err(url);
            assert!(error.to_string().contains("ws://host:port"), "{error}");
        }
    }

    #[test]
    fn what_the_list_leaves_empty_is_as_the_client_came() {
        let edge = |scheme: &str, host: &str, port, path: &str| {
            let (scheme, host, path) = (scheme.into(), host.into(), path.into());
            Edge { node: 2, host, port, path, scheme }
        };
        for (came_by, named, wanted) in [
            ("ws://h:80/ws", edge("", "", 0, "2"), Some("ws://h:80/ws/2")),
            ("ws://h:80/ws/1", edge("", "", 0, "2"), Some("ws://h:80/ws/2")),
            ("ws://h:80/game/ws", edge("", "", 0, "2"), Some("ws://h:80/game/ws/2")),
            ("ws://h:80/a/", edge("", "", 0, "2"), Some("ws://h:80/a/2")),
            ("ws://h:80/ws", edge("", "b", 443, "/x/2"), Some("ws://b:443/x/2")),
            ("ws://h:80/ws", edge("ws", "", 7_601, ""), Some("ws://h:7601/ws")),
            ("ws://h:80/ws", edge("wss", "b", 443, "2"), Some("wss://b:443/ws/2")),
            ("wss://h:443/ws", edge("", "", 0, "2"), Some("wss://h:443/ws/2")),
            ("wss://h:443/ws", edge("wss", "b", 0, "/2"), Some("wss://b:443/2")),
            ("wss://h:443/ws", edge("ws", "b", 80, "/2"), None),
            ("ws://h:80/ws", edge("", "", 70_000, ""), None),
            ("ws://h:80/ws", edge("", "", 0, "2 HTTP/1.1"), None),
        ] {
            let came_by: Address = came_by.parse().expect(came_by);
            let found = came_by.of_edge(named).map(|edge| edge.to_string());
            assert_eq!(found.as_deref(), wanted, "from {came_by}");
        }
    }
}
