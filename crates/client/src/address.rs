//! Where an edge listens: `ws://host:port/path`.

use std::fmt;
use std::str::FromStr;

/// The path of the WebSocket when a URL names none.
const PATH_DEFAULT: &str = "/ws";

/// The address of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path of the WebSocket, with its leading slash.
    pub path: String,
}

/// Why a URL is not the address of an edge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not an address of a world: {why} (expected ws://host:port)")]
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
        if url.starts_with("wss://") || url.starts_with("https://") {
            return Err(bad("this client does not speak TLS"));
        }
        let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = if path.len() <= 1 { PATH_DEFAULT } else { path };
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once("]:").ok_or_else(|| bad("no port after the IPv6 address"))?,
            None => authority.rsplit_once(':').ok_or_else(|| bad("no port"))?,
        };
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let port = port.parse().map_err(|_| bad("the port is not a number up to 65535"))?;
        if port == 0 {
            return Err(bad("port 0"));
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl Address {
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
        write!(f, "ws://{}{}", self.authority(), self.path)
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
        ] {
            let address: Address = url.parse().expect(url);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<Address>().expect(shown), address);
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for url in ["", "ws://", "localhost", "ws://:7600", "ws://a:0", "ws://a:70000", "wss://a:1", "[::1]"]
        {
            let error = url.parse::<Address>().expect_err(url);
            assert!(error.to_string().contains("ws://host:port"), "{error}");
        }
    }
}
