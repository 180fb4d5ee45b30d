//! Who may come in by the front: the names and origins it answers to, and where a request really comes from.
//!
//! Browsers say which page connects (`Origin`) and by which name (`Host`). Without the checks here, any page on the web could
//! connect from a visitor's browser to a world on the visitor's own machine. Programs that are no browsers send no origin.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};
use gundo_types::Origin;

/// Headers with which proxies say that they forward.
const FORWARDED: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Who may come in by a front.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Names by which the world may be called: `play.example.org`, or with a port. Empty (default): any name. Loopback names always.
    pub hosts: Vec<String>,
    /// Origins of pages that may connect besides the world's own and those of this machine: `https://example.org`; `*`: all (default:
    /// none).
    pub origins: Vec<String>,
    /// Proxies whose word about the client, and about the name that it called, is believed (default: none).
    pub trusted_proxies: Vec<Network>,
}

/// An IP address, or all addresses that begin alike: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let first: IpAddr = ip.parse().map_err(|_| bad())?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), str::parse).map_err(|_| bad())?;
        if bits > all { Err(bad()) } else { Ok(Self { first, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        // Of 128 bits, so that a shift by all of them is the only special case.
        let begins = |first: u128, ip: u128, of: u8| {
            self.bits == 0 || (first ^ ip) >> (of.saturating_sub(self.bits)) == 0
        };
        match (self.first, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => begins(first.to_bits().into(), ip.to_bits().into(), 32),
            (IpAddr::V6(first), IpAddr::V6(ip)) => begins(first.to_bits(), ip.to_bits(), 128),
            _ => false,
        }
    }
}

/// Where an HTTP request comes from, as an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client: what is connected, or what a trusted proxy says is connected to it.
    pub client: IpAddr,
    /// Whether it is a program on this machine, without a proxy in between.
    pub is_local: bool,
    /// Whether it came by the address for operators only.
    pub is_private: bool,
}

impl Caller {
    /// The client's address, for counting. `None`: it is on this machine, like a proxy that nobody trusts, and stands for everybody or
    /// for nobody.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let origin = match self.client.to_canonical() {
            IpAddr::V4(v4) => Origin::v4(v4.to_bits()),
            IpAddr::V6(v6) => Origin::v6(v6.to_bits()),
        };
        (!self.client.to_canonical().is_loopback()).then_some(origin)
    }
}

impl Access {
    /// Where a request comes from whose connection is with `peer`; `None`: it came by a Unix socket, from a proxy of ours.
    pub(crate) fn caller(&self, peer: Option<SocketAddr>, headers: &HeaderMap, is_private: bool) -> Caller {
        let Some(address) = peer else {
            // A proxy. One that says nothing of itself would otherwise make everybody local.
            let client = self.client(headers).unwrap_or(Ipv4Addr::LOCALHOST.into());
            return Caller { client, is_local: false, is_private };
        };
        let peer = address.ip().to_canonical();
        let client = if self.trusts(peer) { self.client(headers).unwrap_or(peer) } else { peer };
        let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        // A proxy that says nothing of itself still passes on a name that this machine does not have.
        let names_this_machine = text(headers, &header::HOST).is_none_or(|host| is_loopback(split(host).0));
        let is_local = peer.is_loopback() && client.is_loopback() && !is_forwarded && names_this_machine;
        Caller { client, is_local, is_private }
    }

    /// Whether the world goes by the name that the request calls.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub(crate) fn admits_host(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<(), String> {
        let Some(called) = self.host(peer, headers).filter(|_| !self.hosts.is_empty()) else { return Ok(()) };
        let (name, port) = split(called);
        let is_it = |host: &String| {
            let (its_name, its_port) = split(host);
            name.eq_ignore_ascii_case(its_name) && (its_port.is_none() || its_port == port)
        };
        match is_loopback(name) || self.hosts.iter().any(is_it) {
            true => Ok(()),
            false => Err(format!(
                "this world does not go by the name {called}; `hosts` in its settings has its names\n"
            )),
        }
    }

    /// Whether the page that connects may. What is no page may.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub(crate) fn admits_origin(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<(), String> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("?");
        let listed = |o: &String| o == "*" || same_origin(o, origin);
        match self.is_own(origin, peer, headers) || self.origins.iter().any(listed) {
            true => Ok(()),
            false => Err(format!(
                "pages of {origin} may not connect to this world. If it is behind a proxy, let the proxy pass Host on; \
                 other pages are listed in `origins` in its settings\n"
            )),
        }
    }

    /// Whether the page is the world's own, or of this machine.
    fn is_own(&self, origin: &str, peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let (name, port) = split(authority);
        if is_loopback(name) {
            return true;
        }
        let Some((called, called_port)) = self.host(peer, headers).map(split) else { return false };
        // Some proxies pass the name on without its port.
        let usual = usual_port(scheme);
        name.eq_ignore_ascii_case(called) && called_port.is_none_or(|called| Some(called) == port.or(usual))
    }

    /// The name that the client called: a trusted proxy may have called another.
    fn host<'h>(&self, peer: Option<SocketAddr>, headers: &'h HeaderMap) -> Option<&'h str> {
        let passed = || text(headers, &HeaderName::from_static("x-forwarded-host"));
        let is_trusted = peer.is_none_or(|peer| self.trusts(peer.ip().to_canonical()));
        let passed = if is_trusted { passed() } else { None };
        // The first proxy heard it from the client.
        let first =
            passed.and_then(|all| all.split(',').next()).map(str::trim).filter(|host| !host.is_empty());
        first.or_else(|| text(headers, &header::HOST))
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(ip))
    }

    /// The client, as the proxies say: each adds the address that it was called from, and the last that is no proxy of ours counts.
    /// `None`: nobody says.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut hops: Vec<IpAddr> = Vec::new();
        let lists = headers.get_all("x-forwarded-for").into_iter().map(|list| (list, false));
        let lists = lists.chain(headers.get_all("forwarded").into_iter().map(|list| (list, true)));
        for (list, has_fields) in lists {
            for hop in list.to_str().ok()?.split(',') {
                let address = if has_fields { for_field(hop) } else { Some(hop.trim()) };
                hops.push(read_ip(address?)?);
            }
        }
        hops.iter().rev().find(|ip| !self.trusts(**ip)).or(hops.first()).copied()
    }
}

/// The `for` of one hop of a `Forwarded` header.
fn for_field(hop: &str) -> Option<&str> {
    let fields = hop.split(';').filter_map(|field| field.split_once('='));
    let mut named = fields.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    named.next().map(|(_, value)| value.trim().trim_matches('"'))
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`.
fn read_ip(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| split(text).0.parse().ok());
    ip.map(|ip: IpAddr| ip.to_canonical())
}

/// Host and port of an authority; brackets of IPv6 are taken off.
fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').and_then(|port| port.parse().ok())),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
            _ => (authority, None),
        },
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

fn same_origin(a: &str, b: &str) -> bool {
    let parts = |origin: &str| {
        let (scheme, authority) = origin.split_once("://")?;
        let (host, port) = split(authority.trim_end_matches('/'));
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), port.or(usual_port(scheme))))
    };
    a == b || parts(a).is_some_and(|a| Some(a) == parts(b))
}

fn is_loopback(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let is_named =
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_named || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    fn at(ip: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(ip.parse().expect("an address"), 50_000))
    }

    fn trusting(networks: &[&str]) -> Access {
        let trusted_proxies = networks.iter().map(|n| n.parse().expect("a network")).collect();
        Access { trusted_proxies, ..Access::default() }
    }

    #[test]
    fn networks_contain_what_begins_alike() {
        for (network, within, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let parsed: Network = network.parse().expect(network);
            assert!(parsed.contains(within.parse().expect("an address")), "{within} in {network}");
            assert!(!parsed.contains(outside.parse().expect("an address")), "{outside} in {network}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "a", "::/129", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_was_forwarded_is_not_local() {
        let local = |peer: &str, all: &[(&'static str, &str)]| {
            let access = trusting(&["127.0.0.1"]);
            access.caller(at(peer), &headers(all), false).is_local
        };
        for host in ["localhost:7600", "127.0.0.1:7600", "[::1]:7600", "a.localhost"] {
            assert!(local("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(local("::ffff:127.0.0.1", &[]) && local("::1", &[]));
        assert!(!local("192.0.2.1", &[("host", "localhost")]), "another machine");
        assert!(!local("127.0.0.1", &[("host", "play.example.org")]), "a proxy that says nothing");
        for name in FORWARDED {
            assert!(!local("127.0.0.1", &[("host", "localhost"), (name, "127.0.0.1")]), "{name}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let client = |access: &Access, peer: &str, all: &[(&'static str, &str)]| {
            access.caller(at(peer), &headers(all), false).client.to_string()
        };
        let said = [("x-forwarded-for", "198.51.100.9, 203.0.113.7, 10.0.0.2")];
        let trusting = trusting(&["127.0.0.1", "10.0.0.0/8"]);
        assert_eq!(client(&trusting, "10.0.0.1", &said), "203.0.113.7", "the last that is no proxy of ours");
        assert_eq!(client(&trusting, "192.0.2.1", &said), "192.0.2.1", "anybody can say that");
        assert_eq!(client(&Access::default(), "127.0.0.1", &said), "127.0.0.1");
        assert_eq!(client(&trusting, "127.0.0.1", &[("x-forwarded-for", "10.0.0.9")]), "10.0.0.9");
        assert_eq!(client(&trusting, "127.0.0.1", &[("x-forwarded-for", "unknown")]), "127.0.0.1");
        let forwarded = [("forwarded", "proto=https;for=\"[2001:db8::7]:4711\", For=10.0.0.2")];
        assert_eq!(client(&trusting, "127.0.0.1", &forwarded), "2001:db8::7");
    }

    #[test]
    fn what_comes_by_a_unix_socket_is_a_proxy() {
        let access = Access { hosts: vec!["play.example.org".to_owned()], ..Access::default() };
        let said = headers(&[("host", "localhost"), ("x-forwarded-for", "203.0.113.7")]);
        let caller = access.caller(None, &said, false);
        assert_eq!((caller.client.to_string().as_str(), caller.is_local), ("203.0.113.7", false));
        // As nginx passes the name on unless it is told otherwise.
        assert!(!access.caller(None, &headers(&[("host", "localhost")]), false).is_local);
        let called = |name: &str| {
            access.admits_host(None, &headers(&[("host", "localhost"), ("x-forwarded-host", name)])).is_ok()
        };
        assert!(called("play.example.org") && !called("evil.example"));
    }

    #[test]
    fn pages_connect_to_the_host_they_come_from() {
        let open = Access::default();
        let comes = |access: &Access, origin: &str, host: &str| {
            access.admits_origin(at("192.0.2.1"), &headers(&[("origin", origin), ("host", host)])).is_ok()
        };
        for (origin, host) in [
            ("http://play.example.org:7600", "play.example.org:7600"),
            ("https://play.example.org", "play.example.org"),
            ("https://Play.example.org", "play.example.org:443"),
            ("http://192.0.2.9:8080", "192.0.2.9"),
            ("http://[2001:db8::1]:80", "[2001:db8::1]"),
            ("http://localhost:3000", "127.0.0.1:7600"),
        ] {
            assert!(comes(&open, origin, host), "{origin} to {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "play.example.org"),
            ("http://play.example.org:81", "play.example.org:7600"),
            ("https://evil.example", "127.0.0.1:7600"),
            ("https://localhost.evil.example", "localhost"),
            ("null", "play.example.org"),
        ] {
            assert!(!comes(&open, origin, host), "{origin} to {host}");
        }
        assert!(open.admits_origin(at("192.0.2.1"), &headers(&[("host", "x")])).is_ok(), "what is no page");
        let listing =
            Access { origins: vec!["https://example.org/".into(), "null".into()], ..Access::default() };
        assert!(comes(&listing, "https://example.org", "x") && comes(&listing, "null", "x"));
        assert!(!comes(&listing, "http://example.org", "x"));
        let all = Access { origins: vec!["*".into()], ..Access::default() };
        assert!(comes(&all, "https://evil.example", "x"));
        // The name that a trusted proxy was called by.
        let passed = [
            ("origin", "https://play.example.org"),
            ("host", "inner"),
            ("x-forwarded-host", "play.example.org"),
        ];
        assert!(open.admits_origin(at("10.0.0.1"), &headers(&passed)).is_err());
        assert!(trusting(&["10.0.0.1"]).admits_origin(at("10.0.0.1"), &headers(&passed)).is_ok());
    }

    #[test]
    fn a_world_goes_by_its_names_and_those_of_this_machine() {
        let listing =
            Access { hosts: vec!["play.example.org".into(), "other:8080".into()], ..Access::default() };
        let called =
            |access: &Access, host: &str| access.admits_host(at("192.0.2.1"), &headers(&[("host", host)]));
        for host in ["play.example.org", "PLAY.example.org:81", "other:8080", "localhost:1", "[::1]:7600"] {
            assert_eq!(called(&listing, host), Ok(()), "{host}");
        }
        for host in ["evil.example", "other", "other:80", "192.0.2.1"] {
            assert!(called(&listing, host).is_err_and(|why| why.contains(host)), "{host}");
        }
        assert_eq!(called(&Access::default(), "anything"), Ok(()));
    }
}
