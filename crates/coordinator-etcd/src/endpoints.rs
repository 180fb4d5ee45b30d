//! The members of etcd, each with a connection of its own, and how a request finds one that answers.
//!
//! A request goes to the member that answered last. If it fails there it goes to the next one at once; if there is no answer for
//! [`HEDGE_MS`], to the next one as well, without giving up the first: it may only be slow. A member that failed is asked again
//! after a pause. The first answer counts. Every request here may be repeated, so it does no harm if several members do it.
//!
//! A connection that broke, or on which a request waited for [`HUNG_MS`], is made again: so a half-open one does not stay.

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Client, Error, ResponseHeader};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::EtcdSettings;
use crate::fault::{self, Fault};

/// After this time without an answer the next member is asked too, ms: longer than a commit of a busy etcd takes.
const HEDGE_MS: u64 = 300;

/// Pause before a member that failed is asked again, ms; it doubles up to [`PAUSE_MS_MAX`].
const PAUSE_MS: u64 = 50;

/// Longest pause, ms.
const PAUSE_MS_MAX: u64 = 400;

/// A connection on which a request waited this long is not used again, ms.
const HUNG_MS: u64 = 1_000;

/// An answer, with the header that says which cluster it is from.
pub(crate) type Answered<T> = Result<(T, Option<ResponseHeader>), Error>;

/// All members that the settings name.
pub(crate) struct Endpoints {
    settings: Arc<EtcdSettings>,
    members: Vec<Member>,
    /// The member that answered last.
    preferred: AtomicUsize,
    /// The cluster that this process started with; 0: not known yet.
    cluster: AtomicU64,
}

struct Member {
    url: String,
    /// The connection, and how many there were before it.
    client: Mutex<(u64, Option<Client>)>,
}

impl Endpoints {
    pub(crate) fn new(settings: EtcdSettings) -> Self {
        let member = |url: &String| Member { url: url.clone(), client: Mutex::default() };
        let members = settings.endpoints.iter().map(member).collect();
        Self {
            settings: Arc::new(settings),
            members,
            preferred: AtomicUsize::new(0),
            cluster: AtomicU64::new(0),
        }
    }

    /// Sends a request to one member after the other, until one answers or it is too late.
    pub(crate) async fn ask<T, F, Fut>(&self, deadline: Instant, request: F) -> Result<T, Fault>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Answered<T>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.members.len();
        let attempt = |at: usize, pause: u64| {
            let request = &request;
            async move {
                sleep(Duration::from_millis(pause)).await;
                (at, pause, self.attempt(at, deadline, request).await)
            }
        };
        let mut attempts = FuturesUnordered::new();
        let (mut asked, mut next_at, mut last) = (0, Instant::now(), None::<Fault>);
        loop {
            tokio::select! {
                Some((at, pause, result)) = attempts.next(), if !attempts.is_empty() => match result {
                    Ok(answer) => {
                        self.preferred.store(at, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(fault @ Fault::Lasting(_)) => return Err(fault),
                    Err(fault) => {
                        last = Some(fault);
                        next_at = Instant::now();
                        let pause = u64::clamp(pause * 2, PAUSE_MS, PAUSE_MS_MAX);
                        attempts.push(attempt(at, pause));
                    }
                },
                () = sleep_until(next_at), if asked < count => {
                    attempts.push(attempt((first + asked) % count, 0));
                    asked += 1;
                    next_at = Instant::now() + Duration::from_millis(HEDGE_MS);
                }
                () = sleep_until(deadline) => break,
            }
        }
        Err(last.unwrap_or(Fault::Unanswered))
    }

    /// Asks each member of which cluster it is. Those that do not answer are left out.
    pub(crate) async fn check_clusters(&self, deadline: Instant) -> Result<(), Fault> {
        let status = |mut client: Client| async move {
            let mut status = client.status().await?;
            Ok(((), status.take_header()))
        };
        let all = (0..self.members.len()).map(|at| {
            let status = &status;
            async move {
                match self.attempt(at, deadline, status).await {
                    Err(fault @ Fault::Mixed(_)) => Err(fault),
                    _ => Ok(()),
                }
            }
        });
        futures_util::future::try_join_all(all).await.map(drop)
    }

    /// A connection for something that lasts, to another member than the time before.
    pub(crate) async fn next(&self, turn: usize, deadline: Instant) -> Result<(String, Client), Fault> {
        let at = (self.preferred.load(Ordering::Relaxed) + turn) % self.members.len();
        let url = self.members[at].url.clone();
        let connected = timeout_at(deadline, self.client(at)).await;
        let (_, client) = connected.map_err(|_| Fault::Unanswered)??;
        Ok((url, client))
    }

    async fn attempt<T, F, Fut>(&self, at: usize, deadline: Instant, request: F) -> Result<T, Fault>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Answered<T>>,
    {
        let (count, client) =
            timeout_at(deadline, self.client(at)).await.map_err(|_| Fault::Unanswered)??;
        // Also if nobody waits for the answer any more.
        let mut forget = Forget { member: &self.members[at], count, asked: Some(Instant::now()) };
        let answered = timeout_at(deadline, request(client)).await.map_err(|_| Fault::Unanswered)?;
        forget.asked = None;
        let (answer, header) = answered.map_err(|error| {
            let fault = Fault::of(&self.members[at].url, &error);
            // After a refusal too: the next connection has the password and the certificate as the files have them then.
            if fault::is_broken(&error) || matches!(fault, Fault::Lasting(_)) {
                forget.now();
            }
            fault
        })?;
        self.check_cluster(&self.members[at].url, header.as_ref())?;
        Ok(answer)
    }

    /// Checks that an answer is from the cluster of the first answer.
    pub(crate) fn check_cluster(&self, url: &str, header: Option<&ResponseHeader>) -> Result<(), Fault> {
        let Some(id) = header.map(ResponseHeader::cluster_id) else { return Ok(()) };
        match self.cluster.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed) {
            Err(known) if known != id => Err(Fault::Mixed(format!(
                "etcd at {url} belongs to another cluster ({id:x}) than the one that this node began with ({known:x}): the \
                 endpoints must be members of one cluster; after etcd was set up from nothing, restart the nodes"
            ))),
            _ => Ok(()),
        }
    }

    async fn client(&self, at: usize) -> Result<(u64, Client), Fault> {
        let member = &self.members[at];
        let (count, there) = member.lock().clone();
        if let Some(client) = there {
            return Ok((count, client));
        }
        let settings = Arc::clone(&self.settings);
        // A file system may hang.
        let options = spawn_blocking(move || settings.options()).await;
        let options =
            options.expect("reading files does not panic").map_err(|e| Fault::Passing(e.to_string()))?;
        // Without a user this does not wait for the network.
        let made = Client::connect([&member.url], Some(options)).await;
        let client = made.map_err(|error| Fault::of(&member.url, &error))?;
        let mut place = member.lock();
        place.0 += 1;
        place.1 = Some(client.clone());
        Ok((place.0, client))
    }
}

impl Member {
    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, Option<Client>)> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a member's connection when it is dropped, if that is broken or hangs.
struct Forget<'a> {
    member: &'a Member,
    count: u64,
    /// When the request was sent that has no answer; `None`: the connection stays.
    asked: Option<Instant>,
}

impl Forget<'_> {
    fn now(&self) {
        let mut place = self.member.lock();
        if place.0 == self.count {
            place.1 = None;
        }
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if self.asked.is_some_and(|asked| asked.elapsed() >= Duration::from_millis(HUNG_MS)) {
            self.now();
        }
    }
}
