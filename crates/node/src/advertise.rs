//! What clients are told of where the edges of the nodes are.

use std::str::FromStr;

use gundo_types::{EdgeAddress, NodeId};

/// Stands for the number of the node.
const NODE: &str = "{node}";
/// Bytes of a host, as in DNS.
const HOST_BYTES_MAX: usize = 253;
/// Bytes of a path: the list of edges goes to every client.
const PATH_BYTES_MAX: usize = 200;

/// What clients are told of where the edges of the nodes are: `wss://play.example.org/ws/{node}`, where `{node}` is the number of
/// the node. Every part may be left out. The default leaves out all but the number, so that clients stay on the address they
/// came by, whatever stands in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    given: String,
    address: EdgeAddress,
}

/// Why a text says nothing that clients could be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no address to tell clients: {why} (expected wss://HOST:PORT/PATH, {{node}} being the node's number)"
)]
pub struct BadAdvertise {
    given: String,
    why: &'static str,
}

impl Default for Advertise {
    fn default() -> Self {
        let address = EdgeAddress { path: NODE.to_owned(), ..EdgeAddress::default() };
        Self { given: String::new(), address }
    }
}

impl std::fmt::Display for Advertise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.given)
    }
}

impl FromStr for Advertise {
    type Err = BadAdvertise;

    fn from_str(given: &str) -> Result<Self, BadAdvertise> {
        let bad = |why| BadAdvertise { given: given.to_owned(), why };
        if given.is_empty() {
            return Ok(Self::default());
        }
        if !given.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad("only visible ASCII"));
        }
        let (scheme, rest, usual) = match given.split_once("://") {
            None => ("", given, 0),
            Some(("ws" | "http", rest)) => ("ws", rest, 80),
            Some(("wss" | "https", rest)) => ("wss", rest, 443),
            Some(_) => return Err(bad("the scheme is ws or wss")),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or_else(|| bad("no ] after the IPv6 address"))?,
            None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => {
                port.parse().ok().filter(|p| *p != 0).ok_or_else(|| bad("the port is 1 to 65535"))?
            }
            None if port.is_empty() => usual,
            None => return Err(bad("more than a port after the IPv6 address")),
        };
        if host.is_empty() && !scheme.is_empty() {
            return Err(bad("no host"));
        }
        if host.len() > HOST_BYTES_MAX || path.len() > PATH_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let path = match path {
            "" | "/" if host.is_empty() => NODE.to_owned(),
            "" | "/" => format!("/ws/{NODE}"),
            path => path.to_owned(),
        };
        let address = EdgeAddress { scheme: scheme.to_owned(), host: host.to_owned(), port, path };
        Ok(Self { given: given.to_owned(), address })
    }
}

impl Advertise {
    /// Whether it names addresses without TLS.
    pub(crate) fn is_bare(&self) -> bool {
        self.address.scheme == "ws"
    }

    /// What clients are told of `node`.
    pub(crate) fn of(&self, node: NodeId) -> EdgeAddress {
        let fill = |text: &str| text.replace(NODE, &node.0.to_string());
        let EdgeAddress { scheme, host, port, path } = &self.address;
        EdgeAddress { scheme: scheme.clone(), host: fill(host), port: *port, path: fill(path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &str) -> (String, String, u16, String) {
        let advertise: Advertise = given.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(advertise.to_string(), given);
        let EdgeAddress { scheme, host, port, path } = advertise.of(NodeId(2));
        (scheme, host, port, path)
    }

    #[test]
    fn every_part_may_be_left_out() {
        for (given, (scheme, host, port, path)) in [
            ("", ("", "", 0, "2")),
            ("wss://play.example.org", ("wss", "play.example.org", 443, "/ws/2")),
            ("http://play.example.org/", ("ws", "play.example.org", 80, "/ws/2")),
            ("wss://n{node}.example.org:8443/ws", ("wss", "n2.example.org", 8_443, "/ws")),
            ("play.example.org", ("", "play.example.org", 0, "/ws/2")),
            ("[::1]:80/a/{node}", ("", "::1", 80, "/a/2")),
            (":8080", ("", "", 8_080, "2")),
            ("/game/{node}", ("", "", 0, "/game/2")),
        ] {
            let wanted = (scheme.to_owned(), host.to_owned(), port, path.to_owned());
            assert_eq!(told(given), wanted, "{given}");
        }
    }

    #[test]
    fn what_no_client_could_use_is_refused() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for given in ["ftp://a", "wss://", "wss:///ws", "a:0", "a:x", "[::1", "[::1]80", "a b", "ä", &long] {
            let error = given.parse::<Advertise>().expect_err(given);
            assert!(error.to_string().contains("{node}"), "{error}");
        }
    }
}
