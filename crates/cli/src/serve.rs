//! The server: a world in one process, until a signal or a fault ends it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::Builder;

use gundo_journal::Journal;
use gundo_kernel::game::Rules;
use gundo_node::{Listen, LocalNodes, Page, Stopper, WorldInfo};

use crate::app::{Failure, say};
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::{logs, marker, token};

/// Runs the server. `page` is the game's own, if it has one.
pub(crate) fn serve(
    game: &'static str,
    args: &ServeArgs,
    page: Option<Arc<Page>>,
    rules: &dyn Fn(&WorldInfo) -> Rules,
) -> Result<bool, Failure> {
    let config = Config::read(args.config.as_deref(), &args.flags)?;
    logs::start();
    if config.cluster.is_some() {
        let text = if cfg!(feature = "cluster") {
            "the configuration is that of a node in a cluster: start it with the command `node`"
        } else {
            "the configuration is that of a node in a cluster, and this program was built for one process: build it with \
             `--features cluster`, and start it with the command `node`"
        };
        return Err(text.into());
    }
    let page = page_of(&config, page)?;
    let expected = config.world_id.as_deref();
    let new = marker::check(&config.data, expected)?;
    let journal = gundo_journal_sqlite::open(&config.data, config.journal())?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    marker::settle(&config.data, &gundo_node::settle_world_id(journal.as_ref())?, expected)?;
    let mut settings = config.solo();
    settings.page = page;
    settings.admin_token = Some(token::settle(&config.data)?);
    let nodes = LocalNodes::start(&settings, journal, rules)?;
    listen_to_signals(nodes.stopper())?;
    if new {
        say(&format!("{game}: a new world begins in {}", config.data.display()));
    }
    say(&greeting(game, &config, &nodes));
    nodes.wait()?;
    say(&format!("{game}: everything is saved."));
    Ok(true)
}

/// The page to serve: that of the configured directory, or the game's own.
pub(crate) fn page_of(config: &Config, own: Option<Arc<Page>>) -> Result<Option<Arc<Page>>, Failure> {
    let Some(directory) = &config.page else { return Ok(own) };
    let page = Page::directory(directory).map_err(|error| format!("the page cannot be served: {error}"))?;
    Ok(Some(Arc::new(page)))
}

/// The lines printed at the start: what runs where.
fn greeting(game: &str, config: &Config, nodes: &LocalNodes) -> String {
    format!(
        "{game}: world {} with {} {}, data in {}\n{game}: {}; Ctrl-C stops and saves",
        nodes.info().seed,
        config.nodes,
        if config.nodes == 1 { "node" } else { "nodes" },
        config.data.display(),
        open(nodes.place(), config),
    )
}

/// Where players come in: an address that a browser on this machine can open, or the socket for a proxy.
pub(crate) fn open(place: &Listen, config: &Config) -> String {
    let mut edge = match place {
        Listen::Address(address) => *address,
        Listen::Socket(_) => return format!("a proxy reaches it at {place}"),
    };
    if edge.ip().is_unspecified() {
        edge.set_ip(match edge {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if config.tls.key.is_some() { "https" } else { "http" };
    format!("open {scheme}://{edge}")
}

/// The first Ctrl-C or SIGTERM stops the world, and SIGQUIT stops it without handing anything to others; a second signal ends the
/// process at once. SIGHUP, which the end of a terminal sends, does nothing: files that change are read without it. The server installs
/// the handlers before it says that the world is open.
#[cfg(unix)]
pub(crate) fn listen_to_signals(stopper: Stopper) -> Result<(), Failure> {
    use std::future::poll_fn;
    use std::task::Poll;
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate, mut quit) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::quit())?)
    };
    // The handler stays when its stream is dropped, and takes the place of the end of the process.
    drop(runtime.block_on(async { signal(SignalKind::hangup()) })?);
    // True: a quit.
    let mut next = async move || {
        poll_fn(|cx| match (interrupt.poll_recv(cx), terminate.poll_recv(cx), quit.poll_recv(cx)) {
            (Poll::Pending, Poll::Pending, Poll::Pending) => Poll::Pending,
            (Poll::Pending, Poll::Pending, _) => Poll::Ready(true),
            _ => Poll::Ready(false),
        })
        .await
    };
    let wait = move || {
        runtime.block_on(async {
            let quits = next().await;
            // Stop first, log afterwards: the reader of the log may be gone.
            if quits {
                stopper.save()
            } else {
                stopper.stop()
            }
            tracing::info!("stopping: saving everything; a second signal ends the process at once");
            next().await;
            std::process::exit(1);
        });
    };
    Builder::new().name("gundo-signals".into()).spawn(wait)?;
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn listen_to_signals(stopper: Stopper) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let wait = move || {
        runtime.block_on(async {
            // Without signals the world can still be killed, which loses nothing acknowledged.
            if tokio::signal::ctrl_c().await.is_ok() {
                stopper.stop();
            }
        });
    };
    Builder::new().name("gundo-signals".into()).spawn(wait)?;
    Ok(())
}
