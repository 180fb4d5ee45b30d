//! A network of this machine: each node in a network namespace of its own, joined by a bridge, and everything that can go wrong there.
//!
//! `iptables` drops packets, all or some of them; `tc` makes the way narrow. The kernel may have no `netem`, so the connections between
//! the first node and the third pass a forwarder, which delays them and holds them back.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use gundo_engines::install;

use super::forward::Forwarder;
use crate::Failure;

/// The ports of each node.
pub(super) const CLIENTS: u16 = 7_600;
pub(super) const OPERATORS: u16 = 7_700;
const PEERS: u16 = 7_800;
/// The two nodes whose connections pass a forwarder.
pub(super) const FORWARDED: (u16, u16) = (1, 3);

pub(super) struct Network {
    /// What its names begin with.
    name: String,
    third: u8,
    nodes: u16,
    /// From the first to the second of [`FORWARDED`], and back: by who connects.
    forwarders: Vec<Forwarder>,
}

impl Network {
    /// Makes it; the reason if this machine does not let us.
    pub(super) fn make(nodes: u16) -> Result<Self, Failure> {
        install::program("ip", &["/usr/sbin", "/sbin"], "iproute2")?;
        install::program("tc", &["/usr/sbin", "/sbin"], "iproute2")?;
        install::program("iptables", &["/usr/sbin", "/sbin"], "iptables")?;
        clear()?;
        let pid = std::process::id();
        let mut network =
            Self { name: format!("gundo{pid}"), third: (pid % 250) as u8, nodes, forwarders: Vec::new() };
        let (bridge, host) = (network.name.clone(), network.host());
        run(&["ip", "link", "add", &bridge, "type", "bridge"])?;
        run(&["ip", "addr", "add", &format!("{host}/24"), "dev", &bridge])?;
        run(&["ip", "link", "set", &bridge, "up"])?;
        for node in 1..=nodes {
            let (space, cable) = (network.space(node), format!("{}v{node}", network.name));
            run(&["ip", "netns", "add", &space])?;
            run(&["ip", "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            run(&["ip", "link", "set", &cable, "master", &bridge, "up"])?;
            run(&["ip", "-n", &space, "addr", "add", &format!("{}/24", network.node(node)), "dev", "eth0"])?;
            run(&["ip", "-n", &space, "link", "set", "eth0", "up"])?;
            run(&["ip", "-n", &space, "link", "set", "lo", "up"])?;
        }
        if nodes >= FORWARDED.1 {
            for (from, to) in [FORWARDED, (FORWARDED.1, FORWARDED.0)] {
                let forwarder = Forwarder::start(host, SocketAddr::from((network.node(to), PEERS)))?;
                let (to, by) = (network.node(to).to_string(), format!("{host}:{}", forwarder.port));
                let port = PEERS.to_string();
                let way = ["-A", "OUTPUT", "-d", &to, "-p", "tcp", "--dport", &port];
                network.table(from, "nat", &[&way[..], &["-j", "DNAT", "--to-destination", &by]].concat())?;
                network.forwarders.push(forwarder);
            }
        }
        Ok(network)
    }

    /// The address of what is in no namespace: the engines and the clients.
    pub(super) fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.third, 254)
    }

    pub(super) fn node(&self, node: u16) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.third, node as u8)
    }

    /// A program in the namespace of a node.
    pub(super) fn command(&self, node: u16, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(node)]).arg(program);
        command
    }

    /// Nothing that one node sends to another arrives.
    pub(super) fn cut(&self, from: u16, to: u16) -> Result<(), Failure> {
        if let Some((at, way)) = forwarded(from, to) {
            for (index, forwarder) in self.forwarders.iter().enumerate() {
                forwarder.gate.held[if index == at { way } else { 1 - way }].store(true, Relaxed);
            }
            return Ok(());
        }
        let from = self.node(from).to_string();
        self.table(to, "filter", &["-A", "INPUT", "-s", &from, "-j", "DROP"])
    }

    /// A node reaches nobody at these ports of the engines.
    pub(super) fn cut_off(&self, node: u16, ports: &[u16]) -> Result<(), Failure> {
        let host = self.host().to_string();
        for port in ports {
            let port = port.to_string();
            let way = ["-A", "OUTPUT", "-d", &host, "-p", "tcp", "--dport", &port, "-j", "DROP"];
            self.table(node, "filter", &way)?;
        }
        Ok(())
    }

    /// Of what a node receives, this share is lost, per cent.
    pub(super) fn lose(&self, node: u16, per_cent: u32) -> Result<(), Failure> {
        let share = format!("{:.2}", f64::from(per_cent) / 100.0);
        let some = ["-m", "statistic", "--mode", "random", "--probability", &share];
        self.table(node, "filter", &[&["-A", "INPUT"], &some[..], &["-j", "DROP"]].concat())
    }

    /// A node sends no more than this, kbit/s.
    pub(super) fn narrow(&self, node: u16, kbit: u32) -> Result<(), Failure> {
        let (space, rate) = (self.space(node), format!("{kbit}kbit"));
        let way = ["tc", "-n", &space, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", &rate];
        run(&[&way[..], &["burst", "16kb", "latency", "400ms"]].concat())
    }

    /// What travels between [`FORWARDED`] takes so long, ms.
    pub(super) fn delay(&self, ms: u64) {
        self.forwarders.iter().for_each(|forwarder| forwarder.gate.delay_ms.store(ms, Relaxed));
    }

    /// Everything is as it was at first.
    pub(super) fn heal(&self) -> Result<(), Failure> {
        self.delay(0);
        for forwarder in &self.forwarders {
            forwarder.gate.held.iter().for_each(|held| held.store(false, Relaxed));
        }
        for node in 1..=self.nodes {
            self.table(node, "filter", &["-F"])?;
            // There may be none.
            let space = self.space(node);
            let _ = run(&["tc", "-n", &space, "qdisc", "del", "dev", "eth0", "root"]);
        }
        Ok(())
    }

    fn space(&self, node: u16) -> String {
        format!("{}n{node}", self.name)
    }

    fn table(&self, node: u16, table: &str, words: &[&str]) -> Result<(), Failure> {
        let space = self.space(node);
        run(&[&["ip", "netns", "exec", &space, "iptables", "-w", "-t", table], words].concat())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 1..=self.nodes {
            // What is missing was not made.
            let _ = run(&["ip", "netns", "del", &self.space(node)]);
        }
        let _ = run(&["ip", "link", "del", &self.name]);
    }
}

/// Whether two nodes' connections pass a forwarder: the one that the sender's own connections pass, and the way there.
fn forwarded(from: u16, to: u16) -> Option<(usize, usize)> {
    match (from, to) {
        _ if (from, to) == FORWARDED => Some((0, 0)),
        _ if (to, from) == FORWARDED => Some((1, 0)),
        _ => None,
    }
}

/// Removes what a run that was killed has left.
fn clear() -> Result<(), Failure> {
    let left = |line: &str| {
        let pid = line.strip_prefix("gundo")?.split(|c: char| !c.is_ascii_digit()).next()?;
        (!Path::new("/proc").join(pid).exists()).then(|| line.to_owned())
    };
    for space in list(&["ip", "netns", "list"])?.lines().filter_map(|l| left(l.split(' ').next()?)) {
        run(&["ip", "netns", "del", &space])?;
    }
    let links = list(&["ip", "-o", "link", "show", "type", "bridge"])?;
    for bridge in links.lines().filter_map(|line| left(line.split(": ").nth(1)?)) {
        run(&["ip", "link", "del", &bridge])?;
    }
    Ok(())
}

fn list(words: &[&str]) -> Result<String, Failure> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}

pub(super) fn run(words: &[&str]) -> Result<(), Failure> {
    list(words).map(drop)
}
