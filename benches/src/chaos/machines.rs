//! The whole cluster: etcd with three members, PostgreSQL with a synchronous standby, the nodes, and their network.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gundo_engines::etcd::{Etcd, EtcdOptions};
use gundo_engines::free_port;
use gundo_engines::postgres::{Postgres, PostgresOptions};
use gundo_journal_postgres::{Password, PostgresSettings};

use super::disks::Disks;
use super::network::{CLIENTS, Network, OPERATORS};
use super::processes::{self, Node};
use crate::Failure;
use crate::stage::look_on;

/// Members of etcd.
pub(super) const MEMBERS: usize = 3;
/// Sizes of the disks, MiB: etcd reserves two files of 64 MiB for its log.
const ETCD_MIB: u32 = 192;
const POSTGRES_MIB: u32 = 384;
/// How long everything may take to be whole: to start, and after the last fault.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(50);

/// See the top of the file. The nodes end before the engines, and these before their disks.
pub(super) struct Machines {
    pub(super) nodes: Vec<Node>,
    pub(super) etcd: Etcd,
    pub(super) primary: Postgres,
    /// There, unless a failover has just taken it.
    standby: Option<Postgres>,
    /// Which of the two directories the primary has.
    slot: usize,
    slots: [(PathBuf, PostgresOptions); 2],
    pub(super) network: Option<Network>,
    pub(super) disks: Disks,
    password: PathBuf,
    pub(super) clock: Option<PathBuf>,
    /// The program of another release.
    pub(super) previous: Option<PathBuf>,
}

impl Machines {
    /// Starts everything in the directory. `network`: none, and the nodes are on loopback.
    pub(super) fn start(
        dir: &Path,
        nodes: u16,
        seed: u64,
        network: Option<Network>,
    ) -> Result<Self, Failure> {
        let host = network.as_ref().map(Network::host);
        let mut disks = Disks::default();
        let etcd_dir = dir.join("etcd");
        fs::create_dir_all(&etcd_dir)?;
        let slot = |n: usize| -> Result<(PathBuf, PostgresOptions), Failure> {
            let slot = dir.join(format!("postgres-{n}"));
            fs::create_dir_all(&slot)?;
            Ok((slot, PostgresOptions { host, port: Some(free_port()?) }))
        };
        let slots = [slot(0)?, slot(1)?];
        if network.is_some() {
            for member in 1..=MEMBERS {
                disks.add(&etcd_dir.join(format!("start0/m{member}")), ETCD_MIB)?;
            }
            slots.iter().try_for_each(|(dir, _)| disks.add(dir, POSTGRES_MIB))?;
        }
        let etcd = Etcd::start(&etcd_dir, MEMBERS, EtcdOptions { host, ..EtcdOptions::default() })?;
        let primary = Postgres::start_at(&slots[0].0, slots[0].1)?;
        let standby = Some(primary.standby_at(&slots[1].0, slots[1].1)?);
        let password = dir.join("password");
        fs::write(&password, Postgres::PASSWORD)?;
        let mut machines = Self {
            nodes: Vec::new(),
            etcd,
            primary,
            standby,
            slot: 0,
            slots,
            clock: network.as_ref().and_then(|_| processes::clock_library()),
            network,
            disks,
            password,
            previous: None,
        };
        for number in 1..=nodes {
            let node = machines.node(dir, number, seed)?;
            machines.nodes.push(node);
        }
        machines.wait_whole()?;
        Ok(machines)
    }

    fn node(&self, top: &Path, number: u16, seed: u64) -> Result<Node, Failure> {
        let dir = top.join(format!("node-{number}"));
        fs::create_dir_all(&dir)?;
        let (clients, operators, peers) = match &self.network {
            Some(network) => {
                let at = |port: u16| SocketAddr::from((network.node(number), port));
                (at(CLIENTS), at(OPERATORS), at(CLIENTS + 200))
            }
            None => {
                let at = || free_port().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                (at()?, at()?, at()?)
            }
        };
        let config = format!(
            "listen = \"{clients}\"\nadvertise = \"ws://{clients}\"\nadmin_listen = \"{operators}\"\ndata = {dir:?}\nseed = {seed}\n\
             [cluster]\nnode = {number}\nfabric_listen = \"{peers}\"\nmachine = \"m{number}\"\n\
             [cluster.etcd]\nendpoints = {:?}\n\
             [cluster.postgres]\nserver = {:?}\npassword_file = {:?}\n",
            self.etcd.endpoints(),
            self.server(),
            self.password,
        );
        fs::write(dir.join("node.toml"), config)?;
        Ok(Node::new(number, dir, clients, operators))
    }

    /// How both servers are reached.
    fn server(&self) -> String {
        let host = self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, Network::host);
        let [one, other] = &self.slots;
        let port = |options: PostgresOptions| options.port.unwrap_or_default();
        format!(
            "host={host},{host} port={},{} user={} dbname=postgres target_session_attrs=read-write",
            port(one.1),
            port(other.1),
            Postgres::USER
        )
    }

    /// The journal, for tools.
    pub(super) fn journal(&self) -> PostgresSettings {
        let (server, password) = (self.server(), Password::File(self.password.clone()));
        PostgresSettings { server, password, ..PostgresSettings::default() }
    }

    pub(super) fn postgres_ports(&self) -> Vec<u16> {
        self.slots.iter().filter_map(|(_, options)| options.port).collect()
    }

    pub(super) fn etcd_ports(&self) -> Vec<u16> {
        let port = |url: &String| url.rsplit(':').next().and_then(|port| port.parse().ok());
        self.etcd.endpoints().iter().filter_map(port).collect()
    }

    /// Directory of the primary.
    pub(super) fn primary_dir(&self) -> &Path {
        &self.slots[self.slot].0
    }

    /// Looks after the nodes for a while.
    pub(super) fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            for node in &mut self.nodes {
                node.tend(self.network.as_ref())?;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            look_on(left.min(LOOK));
        }
    }

    /// Whether a standby confirms what the primary commits.
    pub(super) fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    pub(super) fn signal_standby(&mut self, signal: i32) -> Result<(), Failure> {
        Ok(self.standby.as_mut().map_or(Ok(()), |standby| standby.signal(signal))?)
    }

    /// Links to members that nodes say they do not have, now.
    pub(super) fn links_down(&self) -> u32 {
        let down = |node: &Node| {
            let text = node.ask("/metrics")?;
            let line = text.lines().find_map(|line| line.strip_prefix("gundo_peers_down "))?;
            line.trim().parse::<u32>().ok()
        };
        self.nodes.iter().filter_map(down).sum()
    }

    /// The standby is the primary from now on. The old one was killed.
    pub(super) fn promote(&mut self) -> Result<(), Failure> {
        let standby = self.standby.take().ok_or("there is no standby")?;
        standby.promote()?;
        self.primary = standby;
        self.slot = 1 - self.slot;
        Ok(())
    }

    /// Makes a new standby where the old primary was.
    pub(super) fn rebuild(&mut self) -> Result<(), Failure> {
        if self.standby.is_some() {
            return Ok(());
        }
        let (dir, options) = &self.slots[1 - self.slot];
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        self.standby = Some(self.primary.standby_at(dir, *options)?);
        Ok(())
    }

    /// Waits until every node sees every other one, and takes clients.
    pub(super) fn wait_whole(&mut self) -> Result<(), Failure> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            self.pass(LOOK)?;
            let count = self.nodes.len();
            let sees_all = |text: &str| {
                let is_one = |line: &&str| line.starts_with("gundo_member{") && line.ends_with(" 1");
                let down = text.lines().find_map(|line| line.strip_prefix("gundo_peers_down "));
                // A release of before this metric says nothing of its links.
                text.lines().filter(is_one).count() == count && down.is_none_or(|down| down == "0")
            };
            let is_whole = |node: &Node| {
                let ready = node.ask("/readyz").is_some_and(|text| text.contains(" 200 "));
                ready && node.ask("/metrics").is_some_and(|text| sees_all(&text))
            };
            let missing: Vec<u16> = self.nodes.iter().filter(|n| !is_whole(n)).map(|n| n.number).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > give_up {
                let why = |node: &u16| {
                    let node = &self.nodes[usize::from(*node) - 1];
                    let said = node.ask("/readyz").unwrap_or_default();
                    format!(
                        "node {}: {}; its log: {}",
                        node.number,
                        said.lines().last().unwrap_or("silent"),
                        node.dir.display()
                    )
                };
                let why: Vec<String> = missing.iter().map(why).collect();
                return Err(format!("the cluster is not whole after {PATIENCE:?}: {}", why.join("; ")).into());
            }
        }
    }
}
