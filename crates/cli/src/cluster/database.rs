//! The journal of a cluster, as its configuration names it.

use gundo_journal_postgres::{Password, PostgresSettings, PostgresTls};

use super::config::PostgresConfig;
use crate::app::Failure;
use crate::config::HOUR_MS;

/// Partitions that what is kept fills: half of as many as there may be.
const PARTS_KEPT: u64 = 24;

/// How it is reached.
pub(crate) fn settings(config: &PostgresConfig) -> Result<PostgresSettings, Failure> {
    let mut settings = PostgresSettings { server: config.server.clone(), ..PostgresSettings::default() };
    if let Some(file) = &config.password_file {
        settings.password = Password::File(file.clone());
    }
    let identity = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => return Err("cluster.postgres.certificate and cluster.postgres.key go together".into()),
    };
    settings.tls = match (&config.ca, identity) {
        (Some(ca), identity) => Some(PostgresTls { ca: ca.clone(), identity }),
        (None, None) => None,
        (None, Some(_)) => return Err("cluster.postgres.certificate needs cluster.postgres.ca".into()),
    };
    if let Some(schema) = &config.schema {
        settings.schema.clone_from(schema);
    }
    settings.writers = config.writers.unwrap_or(settings.writers);
    settings.readers = config.readers.unwrap_or(settings.readers);
    if let Some(hours) = config.keep_hours {
        settings.keep_ms = u64::from(hours) * HOUR_MS;
        // What is kept for long is in as many partitions as what is kept for an hour or a day.
        settings.part_ms = settings.part_ms.max(settings.keep_ms / PARTS_KEPT);
    }
    Ok(settings)
}
