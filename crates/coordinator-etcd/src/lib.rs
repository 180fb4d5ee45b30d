//! The coordinator of a cluster: the rules of membership on etcd.
//!
//! Every process of a world has an [`EtcdCoordinator`] of its own. They share one record and the members' leases in etcd, and the
//! rows in the journal; the rules (`gundo_coordinator::operation`) let any of them go on where another one stopped. There is no
//! process that the others need.
//!
//! Start with [`EtcdCoordinator`]. `calls` runs the rules, `store` translates their requests, `endpoints` finds a member of etcd that
//! answers, `watching` and `views` bring each view once and in order, `expiry` removes members whose lease is over. What an operator
//! needs to know is in `docs/etcd.md`.
//!
//! Not here: the rules, and what a node does with a view.

mod calls;
mod chance;
mod counters;
mod endpoints;
mod expiry;
mod fault;
mod keys;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod views;
mod watching;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use gundo_coordinator::operation::{Drain, Join, Look, Operation, Remove, Renew};
use gundo_coordinator::{CallError, Candidate, Coordinator, Reply, Rows, ViewSink, Watch};
use gundo_kernel::{Member, View};
use gundo_types::{Epoch, Figure};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::calls::Core;
use crate::fault::Fault;
use crate::store::Store;
use crate::views::Views;
pub use settings::{EtcdSettings, EtcdTls, EtcdUser, LEASE_MS_MIN, PREFIX_BYTES_MAX};

/// Calls that may wait for an answer: more than all nodes of a process make in 2 s. Beyond, a call fails.
pub const CALLS_MAX: usize = 1_024;

/// [`EtcdCoordinator::connect`] fails after this time, ms.
pub const CONNECT_MS: u64 = 5_000;

/// How long the members have to say of which cluster they are, ms.
const CLUSTERS_MS: u64 = 1_000;

/// A coordinator on etcd. Clones are handles to the same one. When the last is dropped it ends: calls that wait are not answered.
#[derive(Clone)]
pub struct EtcdCoordinator(Arc<Running>);

struct Running {
    core: Arc<Core>,
    lease_ms: u64,
    waiting: Arc<AtomicUsize>,
    /// Its threads; `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Why a coordinator on etcd did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// A setting makes no sense.
    #[error("etcd: {what}")]
    Settings {
        /// Which, and what it must be.
        what: String,
    },
    /// A file of the settings cannot be read.
    #[error("etcd: cannot read {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// No member answers, or none of those that do can serve. It is worth another try.
    #[error("{what}")]
    Away {
        /// What the last one said, or that none did.
        what: String,
    },
    /// etcd refuses us, and will until somebody changes something.
    #[error("{what}")]
    Refused {
        /// What has to change.
        what: String,
    },
    /// The prefix belongs to another world.
    #[error(
        "the keys {prefix}/ in etcd belong to world {theirs}, not to {ours}: choose another prefix, or the right world"
    )]
    OtherWorld {
        /// The prefix.
        prefix: String,
        /// Whose it is.
        theirs: String,
        /// Who asked.
        ours: String,
    },
    /// The record of members is not one that this version reads.
    #[error("the record of members in etcd cannot be read: {0}")]
    Record(#[from] gundo_coordinator::RecordError),
    /// The operating system gives no threads.
    #[error("etcd: cannot start threads: {0}")]
    System(#[from] std::io::Error),
}

impl EtcdError {
    fn of(fault: Fault, settings: &EtcdSettings) -> Self {
        match fault {
            Fault::Lasting(what) | Fault::Mixed(what) => Self::Refused { what },
            Fault::Passing(what) => {
                let is_cut_off = ["broken pipe", "reset", "closed"].iter().any(|word| what.contains(word));
                let hint = match (is_cut_off, &settings.tls) {
                    (false, _) => "",
                    (true, None) => "; if it encrypts, its endpoint begins with https://",
                    // It says why only after it has closed the connection.
                    (true, Some(_)) => {
                        "; it may not accept our certificate: it wants one that its own trusted CA signed"
                    }
                };
                Self::Away { what: format!("{what}{hint}") }
            }
            Fault::Unanswered => Self::Away {
                what: format!(
                    "etcd does not answer at {} within {} s: check the endpoints, and whether most of its members run",
                    settings.endpoints.join(", "),
                    CONNECT_MS / 1_000
                ),
            },
        }
    }
}

impl EtcdCoordinator {
    /// Connects to etcd and checks that the prefix is this world's. Blocks, for [`CONNECT_MS`] at most. `rows`: the rows of the
    /// world's journal.
    ///
    /// # Errors
    /// A setting is wrong, or etcd cannot be used.
    pub fn connect(settings: EtcdSettings, rows: Arc<dyn Rows>) -> Result<Self, EtcdError> {
        settings.check()?;
        // A file that is missing is told without waiting for etcd.
        settings.options()?;
        let lease_ms = settings.lease_ms;
        let store = Store::new(&settings);
        let (this, from) = Self::start(settings, store, rows)?;
        let core = Arc::clone(&this.0.core);
        this.spawn(async move { watching::run(&core.store, &core.views, &core.counters, from).await });
        this.spawn(expiry::run(Arc::clone(&this.0.core), lease_ms));
        Ok(this)
    }

    /// A coordinator that has read the record once, and the first revision after that. It answers calls, and does nothing by itself.
    fn start(settings: EtcdSettings, store: Store, rows: Arc<dyn Rows>) -> Result<(Self, i64), EtcdError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gundo-etcd")
            .enable_io()
            .enable_time()
            .build()?;
        let lease_ms = settings.lease_ms;
        let (tx, begun) = channel();
        runtime.spawn(async move {
            // The caller waits.
            let _ = tx.send(begin(&settings, store, rows).await);
        });
        let ended = |_| Err(EtcdError::Away { what: "etcd: its threads ended".into() });
        match begun.recv().unwrap_or_else(ended) {
            Ok((core, from)) => {
                let core = Arc::new(core);
                let running = Running { core, lease_ms, waiting: Arc::default(), runtime: Some(runtime) };
                Ok((Self(Arc::new(running)), from))
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0.runtime {
            runtime.spawn(task);
        }
    }

    fn call<O>(&self, operation: O, reply: Reply<O::Output>)
    where
        O: Operation + Send + 'static,
        O::Output: Send,
    {
        let waiting = Arc::clone(&self.0.waiting);
        if waiting.fetch_add(1, Ordering::AcqRel) >= CALLS_MAX {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return reply(Err(CallError::Failed {
                what: format!("{CALLS_MAX} calls wait for etcd already"),
            }));
        }
        let core = Arc::clone(&self.0.core);
        self.spawn(async move {
            let result = core.run(operation).await;
            waiting.fetch_sub(1, Ordering::AcqRel);
            reply(result);
        });
    }
}

async fn begin(settings: &EtcdSettings, store: Store, rows: Arc<dyn Rows>) -> Result<(Core, i64), EtcdError> {
    let deadline = Instant::now() + Duration::from_millis(CONNECT_MS);
    let explained = |fault| EtcdError::of(fault, settings);
    let found = store.claim(&settings.world, deadline).await.map_err(explained)?;
    if let Some(theirs) = found.filter(|found| *found != settings.world) {
        return Err(EtcdError::OtherWorld {
            prefix: settings.prefix.clone(),
            theirs,
            ours: settings.world.clone(),
        });
    }
    let looked = store.endpoints.check_clusters(Instant::now() + Duration::from_millis(CLUSTERS_MS));
    looked.await.map_err(explained)?;
    let present = store.read(deadline).await.map_err(explained)?;
    let view = match &present.record {
        Some((_, value)) => gundo_coordinator::Record::decode(value)?.view(),
        None => View::default(),
    };
    let views = Views::start(view);
    Ok((Core::new(store, rows, views), present.revision + 1))
}

impl Coordinator for EtcdCoordinator {
    fn join(&self, candidates: Vec<Candidate>, reply: Reply<Vec<Member>>) {
        self.call(Join::new(candidates, self.0.lease_ms), reply);
    }

    fn renew(&self, incarnation: u64, reply: Reply<bool>) {
        self.call(Renew::new(incarnation, self.0.lease_ms), reply);
    }

    fn remove(&self, epoch: Epoch, incarnation: u64, reply: Reply<bool>) {
        self.call(Remove::proposed(epoch, incarnation), reply);
    }

    fn leave(&self, incarnation: u64, reply: Reply<()>) {
        self.call(Remove::leaving(incarnation), Box::new(|result| reply(result.map(drop))));
    }

    fn drain(&self, incarnation: u64, reply: Reply<bool>) {
        self.call(Drain::new(incarnation), reply);
    }

    fn view(&self, reply: Reply<View>) {
        self.call(Look::new(), reply);
    }

    fn watch(&self, sink: ViewSink) -> Watch {
        self.0.core.views.watch(sink)
    }

    fn figures(&self) -> Vec<Figure> {
        self.0.core.counters.figures()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped inside a reply, where nobody may wait.
            runtime.shutdown_background();
        }
    }
}
