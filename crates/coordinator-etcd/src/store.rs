//! The store of the rules, in etcd: see the table in `gundo_coordinator`'s `store`.
//!
//! A lease in etcd does not say whose it is, so its incarnation has a key under it, which etcd deletes with the lease. A caller may
//! die between the grant and the key. Therefore a renewal looks for the key too, and puts it back if the lease lives without it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use etcd_client::{
    Client, Compare, CompareOp, Error, GetOptions, LeaseGrantOptions, PutOptions, ResponseHeader, Txn, TxnOp,
    TxnOpResponse,
};
use gundo_coordinator::{Patience, StoreAnswer, StoreRequest, Version};
use gundo_types::Time;
use tokio::time::Instant;

use crate::EtcdSettings;
use crate::endpoints::{Answered, Endpoints};
use crate::fault::{self, Fault};
use crate::keys::Keys;

/// Tries to grant a lease that ends just then, again and again; more than one is rare already.
const GRANTS_MAX: usize = 4;

/// The record as it was at a revision of etcd.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: i64,
    pub(crate) record: Option<(Version, Bytes)>,
}

/// One cell's keys in etcd.
pub(crate) struct Store {
    pub(crate) endpoints: Endpoints,
    pub(crate) keys: Keys,
    lease_s: i64,
    begun: Instant,
    patience: Mutex<Patience>,
    /// Sees every answer: in tests, which have a time of their own.
    #[cfg(test)]
    pub(crate) observer: Option<Observer>,
}

#[cfg(test)]
pub(crate) type Observer = std::sync::Arc<dyn Fn(&StoreRequest, &StoreAnswer) + Send + Sync>;

impl Store {
    pub(crate) fn new(settings: &EtcdSettings) -> Self {
        Self {
            endpoints: Endpoints::new(settings.clone()),
            keys: Keys::new(&settings.prefix, settings.cell),
            lease_s: settings.lease_s(),
            begun: Instant::now(),
            patience: Mutex::new(Patience::new(settings.lease_s() as u64 * 1_000, Time::default())),
            #[cfg(test)]
            observer: None,
        }
    }

    /// Does a request of the rules.
    pub(crate) async fn ask(&self, request: &StoreRequest, deadline: Instant) -> Result<StoreAnswer, Fault> {
        let answer = match request {
            StoreRequest::Read => StoreAnswer::Record(self.read(deadline).await?.record),
            StoreRequest::Swap { expected, value } => self.swap(*expected, value, deadline).await?,
            StoreRequest::Grant { lease, .. } => self.grant(*lease, deadline).await?,
            StoreRequest::Renew { lease } => StoreAnswer::Renewed(self.renew(*lease, deadline).await?),
            StoreRequest::Leases => StoreAnswer::Leases(self.leases(deadline).await?),
        };
        self.patience().on_success(self.now());
        #[cfg(test)]
        if let Some(observer) = &self.observer {
            observer(request, &answer);
        }
        Ok(answer)
    }

    /// Whether members whose lease is over may be removed: not if nobody here has heard from etcd for a while.
    pub(crate) fn may_expire(&self) -> bool {
        self.patience().may_expire(self.now())
    }

    /// Reads the record.
    pub(crate) async fn read(&self, deadline: Instant) -> Result<Snapshot, Fault> {
        let read = |mut client: Client| async move {
            let mut found = client.get(self.keys.members.as_str(), None).await?;
            let record = found
                .take_kvs()
                .into_iter()
                .next()
                .map(|kv| (Version(kv.mod_revision() as u64), Bytes::from(kv.into_key_value().1)));
            let header = found.take_header();
            let revision = header.as_ref().map_or(0, ResponseHeader::revision);
            Ok((Snapshot { revision, record }, header))
        };
        self.endpoints.ask(deadline, read).await
    }

    /// Writes down that the prefix is this world's, unless it is somebody's already: whose.
    pub(crate) async fn claim(&self, world: &str, deadline: Instant) -> Result<Option<String>, Fault> {
        let key = self.keys.world.as_str();
        let claim = |mut client: Client| async move {
            let absent = Compare::version(key, CompareOp::Equal, 0);
            let txn = Txn::new().when([absent]).and_then([TxnOp::put(key, world, None)]);
            let mut done = client.txn(txn.or_else([TxnOp::get(key, None)])).await?;
            let found = done.op_responses().into_iter().find_map(|response| match response {
                TxnOpResponse::Get(found) => {
                    found.kvs().first().map(|kv| String::from_utf8_lossy(kv.value()).into_owned())
                }
                _ => None,
            });
            Ok((found, done.take_header()))
        };
        self.endpoints.ask(deadline, claim).await
    }

    async fn swap(
        &self,
        expected: Option<Version>,
        value: &Bytes,
        deadline: Instant,
    ) -> Result<StoreAnswer, Fault> {
        let key = self.keys.members.as_str();
        // A key that is not there has revision 0.
        let expected = expected.map_or(0, |version| version.0 as i64);
        let swap = |mut client: Client| async move {
            let same = Compare::mod_revision(key, CompareOp::Equal, expected);
            let put = TxnOp::put(key, value.as_ref(), None);
            let mut done = client.txn(Txn::new().when([same]).and_then([put])).await?;
            let succeeded = done.succeeded();
            let header = done.take_header();
            let revision = header.as_ref().map_or(0, ResponseHeader::revision);
            let answer = if succeeded {
                StoreAnswer::Swapped(Version(revision as u64))
            } else {
                StoreAnswer::Conflict
            };
            Ok((answer, header))
        };
        self.endpoints.ask(deadline, swap).await
    }

    async fn grant(&self, incarnation: u64, deadline: Instant) -> Result<StoreAnswer, Fault> {
        let (id, key) = (self.keys.lease_id(incarnation), self.keys.lease(incarnation));
        for _ in 0..GRANTS_MAX {
            let grant = |mut client: Client| async move {
                let with = LeaseGrantOptions::new().with_id(id);
                match client.lease_grant(self.lease_s, Some(with)).await {
                    Ok(mut granted) => Ok((true, granted.take_header())),
                    Err(error) if fault::is_lease_there(&error) => Ok((false, None)),
                    Err(error) => Err(error),
                }
            };
            // One that is there already must last as long as a new one.
            let is_there =
                self.endpoints.ask(deadline, grant).await? || self.keep_alive(id, deadline).await?;
            if is_there && self.put(&key, id, deadline).await? {
                return Ok(StoreAnswer::Granted);
            }
        }
        Err(Fault::Passing(format!("the lease of incarnation {incarnation} ends as often as it is granted")))
    }

    async fn renew(&self, incarnation: u64, deadline: Instant) -> Result<bool, Fault> {
        let (id, key) = (self.keys.lease_id(incarnation), self.keys.lease(incarnation));
        let look = |mut client: Client| {
            let key = key.as_str();
            async move {
                let mut found = client.get(key, Some(GetOptions::new().with_count_only())).await?;
                Ok((found.count() > 0, found.take_header()))
            }
        };
        let (lives, has_key) =
            tokio::try_join!(self.keep_alive(id, deadline), self.endpoints.ask(deadline, look))?;
        if lives && !has_key {
            return self.put(&key, id, deadline).await;
        }
        Ok(lives)
    }

    /// Renews a lease. False: it has ended.
    async fn keep_alive(&self, id: i64, deadline: Instant) -> Result<bool, Fault> {
        let keep = |mut client: Client| async move { no_lease_is_false(client.lease_keep_alive(id).await) };
        self.endpoints.ask(deadline, keep).await
    }

    /// Puts an empty key under a lease. False: the lease has ended.
    async fn put(&self, key: &str, id: i64, deadline: Instant) -> Result<bool, Fault> {
        let put = |mut client: Client| async move {
            let under = PutOptions::new().with_lease(id);
            no_lease_is_false(client.put(key, "", Some(under)).await)
        };
        self.endpoints.ask(deadline, put).await
    }

    async fn leases(&self, deadline: Instant) -> Result<Vec<u64>, Fault> {
        let list = |mut client: Client| async move {
            let all = GetOptions::new().with_prefix().with_keys_only();
            let mut found = client.get(self.keys.leases.as_str(), Some(all)).await?;
            let mut leases: Vec<u64> =
                found.kvs().iter().filter_map(|kv| self.keys.incarnation(kv.key())).collect();
            leases.sort_unstable();
            Ok((leases, found.take_header()))
        };
        self.endpoints.ask(deadline, list).await
    }

    fn now(&self) -> Time {
        Time::default().plus_ms(self.begun.elapsed().as_millis() as u64)
    }

    fn patience(&self) -> std::sync::MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_lease_is_false<T>(result: Result<T, Error>) -> Answered<bool> {
    match result {
        Ok(_) => Ok((true, None)),
        Err(error) if fault::is_no_lease(&error) => Ok((false, None)),
        Err(error) => Err(error),
    }
}
