#!/bin/sh
# The standby: copies the primary if its own directory is new, then follows it. When it is promoted, no standby confirms its commits until
# somebody makes one: docs/runbooks.md.
set -eu
umask 077
primary=${PRIMARY:-postgres-a}
port=${PRIMARY_PORT:-5432}
printf '%s:%s:*:replicator:%s\n' "$primary" "$port" "$(cat "${PASSWORD:-/run/secrets/postgres-password}")" > "$HOME/.pgpass"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    chmod 0700 "$PGDATA"
    until pg_basebackup -R -X stream -c fast -D "$PGDATA" \
        -d "host=$primary port=$port user=replicator application_name=standby1"; do
        sleep 1
    done
    echo "synchronous_standby_names = ''" >> "$PGDATA/postgresql.auto.conf"
fi
exec postgres
