//! What an operator says about the database: where it is, who we are there, and how long things may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gundo_journal::KEEP_MS;
use gundo_journal::queue::QueueLimits;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use crate::open::OpenError;
use crate::tls::{self, PostgresTls};

/// Where the password comes from. It is read again for each connection, so it can be changed while nodes run.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Password {
    /// There is none beyond what the connection string may have: the server trusts us.
    #[default]
    None,
    /// The first line of a file.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Env(name) => write!(f, "Env({name})"),
        }
    }
}

/// How a journal finds its database and works there. The defaults suit production; `server` must be given.
#[derive(Clone)]
pub struct PostgresSettings {
    /// libpq's connection string, `host=db1,db2 user=gundo dbname=gundo` or `postgresql://gundo@db1,db2/gundo`. Of several hosts
    /// the one that takes writes is used. Leave the password out, and see [`password`](Self::password).
    pub server: String,
    /// Where the password comes from (default: none is needed).
    pub password: Password,
    /// Certificates: with them everything is encrypted and the server's certificate is checked, as with libpq's
    /// `sslmode=verify-full`. Without them nothing is encrypted (default).
    pub tls: Option<PostgresTls>,
    /// The schema in which the world's tables are (default `gundo`): a letter, then letters, digits and `_`, all small. One world
    /// per schema.
    pub schema: String,
    /// Connections that write, each with one group under way (default 3).
    pub writers: usize,
    /// Connections that serve loads and lists (default 2).
    pub readers: usize,
    /// What may wait, and how much is written in one transaction.
    pub queue: QueueLimits,
    /// How long connecting may take, with all checks, ms (default 5,000).
    pub connect_timeout_ms: u64,
    /// How long the server may work on one statement, ms (default 2,000). The server itself ends it then, and nothing of it lands.
    pub statement_timeout_ms: u64,
    /// How long a statement may wait for another's lock, ms (default 1,000).
    pub lock_timeout_ms: u64,
    /// How long an answer may take after the server should have given it, ms (default 1,000): beyond, the connection counts as lost.
    /// A commit also waits for the synchronous standbys, which no limit of the server ends.
    pub answer_timeout_ms: u64,
    /// How long a group waits for a connection after the server was lost, ms (default 3,000): about what a failover takes. Beyond,
    /// appends are `Rejected` until there is one again.
    pub outage_ms: u64,
    /// How long to look for the outcome of a group whose connection was lost, ms (default 3,000). Beyond, it is `Unknown`.
    pub settle_ms: u64,
    /// How long events stay after the snapshot that makes them unnecessary, ms of world time (default an hour).
    pub keep_ms: u64,
    /// Pause between two pruning sweeps, ms (default 10 minutes).
    pub prune_every_ms: u64,
    /// How long events go into one partition, ms (default an hour).
    pub part_ms: u64,
    /// Partitions at most (default 48): beyond, the oldest is emptied, whatever has to be copied for that.
    pub parts_max: usize,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            server: String::new(),
            password: Password::None,
            tls: None,
            schema: "gundo".to_owned(),
            writers: 3,
            readers: 2,
            queue: QueueLimits::default(),
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 2_000,
            lock_timeout_ms: 1_000,
            answer_timeout_ms: 1_000,
            outage_ms: 3_000,
            settle_ms: 3_000,
            keep_ms: KEEP_MS,
            prune_every_ms: 600_000,
            part_ms: 3_600_000,
            parts_max: 48,
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connection string may have a password in it.
        let mut s = f.debug_struct("PostgresSettings");
        s.field("server", &self.place()).field("password", &self.password).field("schema", &self.schema);
        s.field("tls", &self.tls)
            .field("writers", &self.writers)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

impl PostgresSettings {
    /// How long a statement may take, seen from here.
    pub(crate) fn answer(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms.saturating_add(self.answer_timeout_ms))
    }

    /// The server as messages name it: hosts, database, role, schema; no secret.
    pub(crate) fn place(&self) -> String {
        let Ok(config) = tls::plain_words(&self.server).parse::<Config>() else {
            return "a server whose connection string is not readable".to_owned();
        };
        let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
        let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
        let (database, role) = (config.get_dbname().unwrap_or("?"), config.get_user().unwrap_or("?"));
        let (hosts, ports) = (hosts.join(","), ports.join(","));
        let ports = if ports.is_empty() { "5432".to_owned() } else { ports };
        format!("{hosts}:{ports}, database {database}, role {role}, schema {}", self.schema)
    }

    /// What the driver needs to connect. Everything the session depends on is set with the first message.
    pub(crate) fn config(&self) -> Result<Config, OpenError> {
        let begins = self.schema.starts_with(|c: char| c.is_ascii_lowercase());
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !begins || !self.schema.chars().all(is_plain) || self.schema.len() > 48 {
            return Err(OpenError::Schema { schema: self.schema.clone() });
        }
        // The driver's error could repeat what it could not read.
        let mut config: Config =
            tls::plain_words(&self.server).parse().map_err(|_| OpenError::ConnectionString)?;
        if config.get_hosts().is_empty() || config.get_user().is_none() {
            return Err(OpenError::ConnectionString);
        }
        match &self.password {
            Password::None => {}
            Password::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| OpenError::PasswordFile { path: path.clone(), source })?;
                config.password(text.lines().next().unwrap_or_default());
            }
            Password::Env(name) => {
                let value = std::env::var(name);
                config.password(value.map_err(|_| OpenError::PasswordEnv { name: name.clone() })?);
            }
        }
        let connect = Duration::from_millis(self.connect_timeout_ms);
        config.connect_timeout(connect).tcp_user_timeout(self.answer().max(connect));
        config.keepalives_idle(Duration::from_secs(5)).keepalives_interval(Duration::from_secs(1));
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).application_name("gundo");
        config.options(self.options(config.get_options()));
        Ok(config)
    }

    fn options(&self, given: Option<&str>) -> String {
        let Self { schema, statement_timeout_ms, lock_timeout_ms, .. } = self;
        let idle = self.answer().as_millis();
        let given = given.unwrap_or_default();
        format!(
            "{given} -c search_path={schema} -c statement_timeout={statement_timeout_ms} -c lock_timeout={lock_timeout_ms} \
             -c idle_in_transaction_session_timeout={idle} -c default_transaction_isolation=read\\ committed \
             -c plan_cache_mode=force_generic_plan -c jit=off -c client_min_messages=warning"
        )
    }
}

fn host(host: &tokio_postgres::config::Host) -> String {
    match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_printed() {
        for server in
            ["host=db user=ann password=geheim", "postgresql://ann:geheim@db/x", "password=geheim oops"]
        {
            let settings = PostgresSettings { server: server.into(), ..PostgresSettings::default() };
            let said = format!("{settings:?} {:?}", settings.config().err().map(|why| why.to_string()));
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn a_schema_needs_no_quotes() {
        let of = |schema: &str| PostgresSettings {
            server: "host=db user=ann".into(),
            schema: schema.into(),
            ..PostgresSettings::default()
        };
        assert!(of("world_2").config().is_ok());
        for schema in ["", "2", "World", "a b", "a;b", "a\"b", &"a".repeat(49)] {
            assert!(matches!(of(schema).config(), Err(OpenError::Schema { .. })), "{schema:?}");
        }
    }
}
