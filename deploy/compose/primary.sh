#!/bin/sh
# Runs once, when the primary's directory is new: the nodes' role and database, and the standby's role. From the next start on, each commit
# waits until it is on the standby's disk too.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -d postgres <<'SQL'
\set password `cat ${PASSWORD:-/run/secrets/postgres-password}`
CREATE ROLE gundo LOGIN PASSWORD :'password';
GRANT pg_monitor TO gundo;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'password';
CREATE DATABASE gundo OWNER gundo;
ALTER SYSTEM SET synchronous_standby_names = 'standby1';
SQL
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
