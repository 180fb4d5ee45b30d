//! What is done to the cluster, and undone: chosen from a seed, within what the world must survive.

use std::fmt;
use std::time::Duration;

use gundo_bots::Chance;

use super::disks;
use super::machines::{MEMBERS, Machines};
use super::network::FORWARDED;
use crate::Failure;

/// By how much a machine's clock is set off.
const CLOCK: &str = "+3600s";

/// One fault. It begins, lasts for a while, and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// SIGKILL; the process starts again after a second.
    KillNode(u16),
    /// SIGSTOP, then SIGCONT.
    StopNode(u16),
    /// The node starts on a machine whose clock is an hour off, and later on its own again.
    ClockOff(u16),
    /// The node hands everything over, and starts as the other of two releases.
    ChangeVersion(u16),
    /// The leader if there is no number.
    KillEtcd(Option<usize>),
    StopEtcd(Option<usize>),
    FillEtcd(usize),
    /// SIGKILL of the primary; the standby takes over.
    FailOver,
    /// SIGKILL of the primary, which starts again.
    RestartPostgres,
    StopPostgres,
    /// Commits wait.
    StopStandby,
    FillPostgres,
    /// Nothing arrives, both ways.
    Cut(u16, u16),
    /// Nothing of the first arrives at the second.
    CutOneWay(u16, u16),
    /// Cut from all other nodes.
    Isolate(u16),
    NoEtcd(u16),
    NoPostgres(u16),
    /// Share of what it receives that is lost, per cent.
    Lose(u16, u32),
    /// What it sends, kbit/s.
    Narrow(u16, u32),
    /// Between two nodes, ms.
    Delay(u64),
}

/// What a fault is about. Two at the same time are about different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Node,
    Etcd,
    Postgres,
    Network,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member =
            |member: &Option<usize>| member.map_or("the leader".to_owned(), |n| format!("member {}", n + 1));
        match self {
            Self::KillNode(node) => write!(f, "kill node {node}"),
            Self::StopNode(node) => write!(f, "stop node {node}"),
            Self::ClockOff(node) => write!(f, "clock of node {node} an hour off"),
            Self::ChangeVersion(node) => write!(f, "node {node} becomes the other release"),
            Self::KillEtcd(m) => write!(f, "kill {} of etcd", member(m)),
            Self::StopEtcd(m) => write!(f, "stop {} of etcd", member(m)),
            Self::FillEtcd(m) => write!(f, "disk of {} of etcd full", member(&Some(*m))),
            Self::FailOver => write!(f, "PostgreSQL fails over"),
            Self::RestartPostgres => write!(f, "kill PostgreSQL, start it again"),
            Self::StopPostgres => write!(f, "stop PostgreSQL"),
            Self::StopStandby => write!(f, "stop the standby"),
            Self::FillPostgres => write!(f, "disk of PostgreSQL full"),
            Self::Cut(a, b) => write!(f, "cut {a} from {b}"),
            Self::CutOneWay(a, b) => write!(f, "cut {a} to {b}, one way"),
            Self::Isolate(node) => write!(f, "cut {node} from all nodes"),
            Self::NoEtcd(node) => write!(f, "cut {node} from etcd"),
            Self::NoPostgres(node) => write!(f, "cut {node} from PostgreSQL"),
            Self::Lose(node, share) => write!(f, "{node} loses {share} %"),
            Self::Narrow(node, rate) => write!(f, "{node} sends {rate} kbit/s"),
            Self::Delay(ms) => write!(f, "{} and {} are {ms} ms apart", FORWARDED.0, FORWARDED.1),
        }
    }
}

impl Deed {
    /// Chooses one, and for how long.
    pub(super) fn choose(chance: &mut Chance, nodes: u16) -> (Self, Duration) {
        let mut below = |n: u64| chance.below(n);
        let node = below(nodes.into()) as u16 + 1;
        let other = (node + below(u64::from(nodes) - 1) as u16) % nodes + 1;
        let member = below(MEMBERS as u64) as usize;
        let any = (below(2) == 0).then_some(member);
        let (deed, seconds) = match below(24) {
            0 | 1 => (Self::KillNode(node), (1, 3)),
            2 => (Self::StopNode(node), (1, 8)),
            3 => (Self::ClockOff(node), (8, 12)),
            4 => (Self::KillEtcd(any), (2, 8)),
            5 => (Self::StopEtcd(any), (2, 8)),
            6 => (Self::FillEtcd(member), (3, 8)),
            7 | 8 => (Self::FailOver, (0, 2)),
            9 => (Self::RestartPostgres, (0, 2)),
            10 => (Self::StopPostgres, (1, 12)),
            18 | 19 => (Self::StopStandby, (3, 12)),
            11 => (Self::FillPostgres, (3, 8)),
            20..=23 => (Self::ChangeVersion(node), (4, 8)),
            12 => (Self::Cut(node, other), (3, 12)),
            13 => (Self::CutOneWay(node, other), (3, 12)),
            14 => (Self::Isolate(node), (3, 12)),
            15 if below(2) == 0 => (Self::NoEtcd(node), (3, 12)),
            15 => (Self::NoPostgres(node), (2, 8)),
            16 if below(2) == 0 => (Self::Lose(node, 1 + below(15) as u32), (4, 10)),
            16 => (Self::Narrow(node, 500 + below(1_500) as u32), (4, 10)),
            _ => (Self::Delay(20 + below(280)), (4, 10)),
        };
        let (least, most) = (seconds.0 * 1_000, seconds.1 * 1_000);
        (deed, Duration::from_millis(least + below(most - least)))
    }

    fn family(self) -> Family {
        match self {
            Self::KillNode(_) | Self::StopNode(_) | Self::ClockOff(_) | Self::ChangeVersion(_) => {
                Family::Node
            }
            Self::KillEtcd(_) | Self::StopEtcd(_) | Self::FillEtcd(_) => Family::Etcd,
            Self::FailOver
            | Self::RestartPostgres
            | Self::StopPostgres
            | Self::StopStandby
            | Self::FillPostgres => Family::Postgres,
            _ => Family::Network,
        }
    }

    pub(super) fn goes_with(self, other: Self) -> bool {
        self.family() != other.family()
    }

    /// Whether this machine can do it.
    pub(super) fn is_possible(self, machines: &Machines) -> bool {
        match self {
            Self::ClockOff(_) => machines.clock.is_some(),
            Self::ChangeVersion(_) => machines.previous.is_some(),
            Self::FillEtcd(member) => machines.disks.has(machines.etcd.folder(member)),
            Self::FillPostgres => machines.disks.has(machines.primary_dir()),
            Self::FailOver | Self::StopStandby => machines.has_standby(),
            _ => self.family() != Family::Network || machines.network.is_some(),
        }
    }

    /// Begins it. Returns what it hit: the leader has a number then.
    pub(super) fn begin(self, machines: &mut Machines) -> Result<Self, Failure> {
        match self {
            Self::KillNode(node) => machines.nodes[at(node)].kill(None)?,
            Self::StopNode(node) => machines.nodes[at(node)].signal("STOP")?,
            Self::ClockOff(node) => {
                let clock = machines.clock.clone().map(|library| (CLOCK.to_owned(), library));
                machines.nodes[at(node)].kill(clock)?;
            }
            Self::ChangeVersion(node) => {
                let previous = machines.previous.clone();
                machines.nodes[at(node)].change_version(previous)?;
            }
            Self::KillEtcd(member) => {
                let member = member.or_else(|| machines.etcd.leader()).unwrap_or_default();
                machines.etcd.kill(member);
                return Ok(Self::KillEtcd(Some(member)));
            }
            Self::StopEtcd(member) => {
                let member = member.or_else(|| machines.etcd.leader()).unwrap_or_default();
                machines.etcd.stop(member)?;
                return Ok(Self::StopEtcd(Some(member)));
            }
            Self::FillEtcd(member) => {
                disks::fill(machines.etcd.folder(member))?;
                // Its log is reserved in advance: so that the disk matters, it starts again there.
                machines.etcd.kill(member);
                machines.etcd.start_member(member)?;
            }
            Self::FailOver | Self::RestartPostgres => machines.primary.kill(),
            Self::StopPostgres => machines.primary.signal(19)?,
            Self::StopStandby => machines.signal_standby(19)?,
            Self::FillPostgres => drop(disks::fill(machines.primary_dir())?),
            network => network.begin_network(machines)?,
        }
        Ok(self)
    }

    fn begin_network(self, machines: &Machines) -> Result<(), Failure> {
        let network = machines.network.as_ref().ok_or("there is no network")?;
        match self {
            Self::Cut(a, b) => {
                network.cut(a, b)?;
                network.cut(b, a)
            }
            Self::CutOneWay(a, b) => network.cut(a, b),
            Self::Isolate(node) => machines.nodes.iter().filter(|n| n.number != node).try_for_each(|other| {
                network.cut(node, other.number)?;
                network.cut(other.number, node)
            }),
            Self::NoEtcd(node) => network.cut_off(node, &machines.etcd_ports()),
            Self::NoPostgres(node) => network.cut_off(node, &machines.postgres_ports()),
            Self::Lose(node, share) => network.lose(node, share),
            Self::Narrow(node, rate) => network.narrow(node, rate),
            Self::Delay(ms) => {
                network.delay(ms);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends it: everything is as it was.
    pub(super) fn end(self, machines: &mut Machines) -> Result<(), Failure> {
        match self {
            Self::KillNode(_) | Self::ChangeVersion(_) => Ok(()),
            Self::StopNode(node) => machines.nodes[at(node)].signal("CONT"),
            Self::ClockOff(node) => machines.nodes[at(node)].kill(None),
            Self::KillEtcd(member) => {
                let member = member.unwrap_or_default();
                Ok(machines.etcd.start_member(member)?)
            }
            Self::StopEtcd(member) => Ok(machines.etcd.go_on(member.unwrap_or_default())?),
            Self::FillEtcd(member) => {
                disks::empty(machines.etcd.folder(member))?;
                // With a full disk it may have ended.
                if machines.etcd.runs(member) { Ok(()) } else { Ok(machines.etcd.start_member(member)?) }
            }
            Self::FailOver => {
                machines.promote()?;
                machines.rebuild()
            }
            Self::RestartPostgres => Ok(machines.primary.restart()?),
            Self::StopPostgres => Ok(machines.primary.signal(18)?),
            Self::StopStandby => machines.signal_standby(18),
            Self::FillPostgres => {
                disks::empty(machines.primary_dir())?;
                // A full disk of the log stops PostgreSQL: its operator starts it again.
                match machines.primary.sql("SELECT 1") {
                    Ok(_) => Ok(()),
                    Err(_) => Ok(machines.primary.restart()?),
                }
            }
            _ => machines.network.as_ref().map_or(Ok(()), super::network::Network::heal),
        }
    }
}

fn at(node: u16) -> usize {
    usize::from(node) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_schedule_and_every_kind_is_in_it() {
        let schedule = |seed| {
            let mut chance = Chance::new(seed);
            (0..2_000).map(|_| Deed::choose(&mut chance, 3)).collect::<Vec<_>>()
        };
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
        let kinds: Vec<_> = schedule(1).iter().map(|(deed, _)| std::mem::discriminant(deed)).collect();
        let mut distinct = Vec::new();
        for kind in kinds {
            if !distinct.contains(&kind) {
                distinct.push(kind);
            }
        }
        assert_eq!(distinct.len(), 20, "a new kind needs its chance");
        for (deed, _) in schedule(3) {
            if let Deed::Cut(a, b) | Deed::CutOneWay(a, b) = deed {
                assert!(a != b && (1..=3).contains(&a) && (1..=3).contains(&b), "{deed}");
            }
        }
    }
}
