//! `node`: one node of a world that runs in many processes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_coordinator::{Coordinator, Rows};
use gundo_coordinator_etcd::{EtcdCoordinator, EtcdError, EtcdSettings, EtcdTls, EtcdUser};
use gundo_fabric_grpc::{GrpcFabric, Identity, Settings as FabricSettings, TlsFiles};
use gundo_journal_postgres::{OpenError, PostgresJournal};
use gundo_kernel::game::Rules;
use gundo_node::{After, LocalNodes, Page, Place, SoloSettings, WorldInfo};
use gundo_types::{NodeId, Site};

use super::colleagues::HttpColleagues;
use super::config::{ClusterConfig, EtcdConfig, PostgresConfig, TlsConfig};
use super::database;
use super::links::GrpcLinks;
use crate::app::{Failure, say};
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::{logs, marker, serve, token};

/// How long a node waits for etcd or PostgreSQL when it starts: as long as machines take to start together.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the node until a signal or a fault ends it.
pub(crate) fn run(
    game: &'static str,
    args: &ServeArgs,
    page: Option<Arc<Page>>,
    rules: &dyn Fn(&WorldInfo) -> Rules,
) -> Result<bool, Failure> {
    let config = Config::read(args.config.as_deref(), &args.flags)?;
    logs::start();
    let Some(cluster) = config.cluster.clone() else {
        return Err("the configuration has no section [cluster]: a node needs one (docs/cluster.md); without `node` a whole world runs \
                    in this process"
            .into());
    };
    if cluster.node == 0 {
        return Err("cluster.node is a number from 1".into());
    }
    let journal = open_journal(&cluster.postgres)?;
    let world = gundo_node::settle_world_id(journal.as_ref())?;
    std::fs::create_dir_all(&config.data)
        .map_err(|error| format!("cannot make {}: {error}", config.data.display()))?;
    marker::settle(&config.data, &world, config.world_id.as_deref())?;
    let token = token::settle_shared(&config.data, journal.as_ref())?;
    let mut settings = config.solo();
    settings.page = serve::page_of(&config, page)?;
    settings.admin_token = Some(token.clone());
    let place = place(game, &config, &cluster, &settings, (&world, &token))?;
    let fabric = place.site.fabric.clone();
    let program = std::env::current_exe();
    let node = LocalNodes::start_in_cluster(&settings, journal, rules, place)?;
    serve::listen_to_signals(node.stopper())?;
    say(&format!(
        "{game}: node {} of world {}, other nodes reach it at {fabric}\n{game}: {}; Ctrl-C hands everything over and stops",
        cluster.node,
        node.info().seed,
        serve::open(node.place(), &config),
    ));
    match node.wait()? {
        After::Over => {
            say(&format!("{game}: node {} has ended; everything is saved.", cluster.node));
            Ok(true)
        }
        After::Again => {
            say(&format!("{game}: node {} starts again.", cluster.node));
            logs::flush();
            Err(start_again(&program?).into())
        }
    }
}

/// Replaces this process by the program as its file is now. Returns only if that fails.
fn start_again(program: &std::path::Path) -> String {
    use std::os::unix::process::CommandExt;
    // The system marks the file of a running program that was replaced.
    let path = program.to_string_lossy();
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let error = std::process::Command::new(path).args(std::env::args_os().skip(1)).exec();
    format!("cannot start {path} again: {error}")
}

/// Everything around the node.
fn place(
    game: &str,
    config: &Config,
    cluster: &ClusterConfig,
    settings: &SoloSettings,
    (world, token): (&str, &str),
) -> Result<Place, Failure> {
    let node = NodeId(cluster.node);
    let identity = Identity::new(world, cluster.cell, game, &settings.world, node);
    let mut fabric = FabricSettings::new(identity, cluster.fabric_listen);
    fabric.tls = cluster.tls.clone().map(|TlsConfig { authority, certificate, key }| TlsFiles {
        authority,
        certificate,
        key,
    });
    if fabric.tls.is_none() && !cluster.fabric_listen.ip().is_loopback() {
        tracing::warn!(
            "the connections between nodes are neither encrypted nor authenticated: who reaches {} can do anything; `certs` makes \
             certificates for [cluster.tls]",
            cluster.fabric_listen
        );
    }
    let fabric = GrpcFabric::start(fabric)?;
    let site = site(config, cluster, fabric.address())?;
    let etcd = etcd(&cluster.etcd, world, cluster.cell, settings.world.membership_ms())?;
    Ok(Place {
        node,
        site,
        coordinator: Box::new(move |rows| connect(&etcd, &rows)),
        links: Arc::new(GrpcLinks::new(fabric)),
        colleagues: Arc::new(HttpColleagues::new(token, settings.admin_tls.clone())?),
        drain_ms: cluster.drain_ms,
    })
}

/// Where the node runs, as others are told.
fn site(config: &Config, cluster: &ClusterConfig, listens: SocketAddr) -> Result<Site, Failure> {
    let fabric = match &cluster.fabric {
        Some(fabric) => fabric.clone(),
        None if listens.ip().is_unspecified() => {
            let text = format!(
                "cluster.fabric_listen is {listens}, which is no address that others could use: say in cluster.fabric at which HOST:PORT \
                 they reach this node"
            );
            return Err(text.into());
        }
        None => listens.to_string(),
    };
    let admin = match (&cluster.admin, config.admin_listen) {
        (Some(admin), Some(_)) => admin.clone(),
        (Some(_), None) => return Err("cluster.admin needs admin_listen: where the requests arrive".into()),
        (None, Some(listens)) if listens.ip().is_unspecified() || listens.port() == 0 => {
            let text = format!(
                "admin_listen is {listens}: say in cluster.admin at which HOST:PORT other nodes reach it"
            );
            return Err(text.into());
        }
        (None, Some(listens)) => listens.to_string(),
        (None, None) => String::new(),
    };
    let machine = cluster.machine.clone().unwrap_or_else(host_name);
    Ok(Site { fabric, admin, machine, zone: cluster.zone.clone() })
}

/// The machine's name; empty: it has none.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn etcd(config: &EtcdConfig, world: &str, cell: u32, lease_ms: u64) -> Result<EtcdSettings, Failure> {
    let mut settings = EtcdSettings::new(config.endpoints.clone(), world);
    (settings.cell, settings.lease_ms) = (cell, lease_ms);
    if let Some(prefix) = &config.prefix {
        settings.prefix.clone_from(prefix);
    }
    let identity = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => return Err("cluster.etcd.certificate and cluster.etcd.key go together".into()),
    };
    settings.tls = match (&config.ca, identity) {
        (Some(ca), identity) => Some(EtcdTls { ca: ca.clone(), identity }),
        (None, None) => None,
        (None, Some(_)) => return Err("cluster.etcd.certificate needs cluster.etcd.ca".into()),
    };
    settings.user = match (&config.user, &config.password_file) {
        (Some(name), Some(file)) => Some(EtcdUser { name: name.clone(), password_file: file.clone() }),
        (None, None) => None,
        _ => return Err("cluster.etcd.user and cluster.etcd.password_file go together".into()),
    };
    Ok(settings)
}

/// Connects to etcd, and waits for it for a while.
fn connect(settings: &EtcdSettings, rows: &Arc<dyn Rows>) -> Result<Arc<dyn Coordinator>, String> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match EtcdCoordinator::connect(settings.clone(), Arc::clone(rows)) {
            Ok(coordinator) => return Ok(Arc::new(coordinator)),
            Err(error @ EtcdError::Away { .. }) if Instant::now() < give_up => {
                tracing::warn!(%error, "waiting for etcd");
                // It does not say when it is there.
                std::thread::sleep(AGAIN);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Opens the journal, and waits for its server for a while.
fn open_journal(config: &PostgresConfig) -> Result<Arc<PostgresJournal>, Failure> {
    let settings = database::settings(config)?;
    let give_up = Instant::now() + PATIENCE;
    loop {
        let fault = match gundo_journal_postgres::open(settings.clone()) {
            Ok(journal) => return Ok(Arc::new(journal)),
            Err(fault) => fault,
        };
        let cause = std::error::Error::source(&fault).and_then(|cause| cause.downcast_ref::<OpenError>());
        let passes = matches!(cause, Some(OpenError::Unreachable { .. } | OpenError::ReadOnly { .. }));
        if !passes || Instant::now() >= give_up {
            return Err(fault.into());
        }
        tracing::warn!(fault = gundo_journal::chain(&fault), "waiting for PostgreSQL");
        // It does not say when it is there.
        std::thread::sleep(AGAIN);
    }
}
