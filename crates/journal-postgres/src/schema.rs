//! The tables, and the statements of the hot path.
//!
//! ```text
//! world      the generation, and the partition that events go into now; the same in each of 64 rows
//! members    one row per incarnation
//! streams    one row per stream: seq of its newest event and of its newest snapshot. Who appends changes this row, and only
//!            from the seq its events follow: that is the fence
//! names      one row per name, changed only from the number it was decided on
//! events     partitioned by time of arrival; each partition has the key (kind, id, seq)
//! snapshots  the same
//! wakes      one row per entity that has something to do, and from when on
//! meta       notes
//! ```
//! Unsigned 64-bit numbers are stored as signed ones, bit for bit. Names are bytes: a text of PostgreSQL takes no zero byte.
//!
//! **What is PostgreSQL's own here**, and no other database with its protocol is known to have: list partitions with DETACH
//! CONCURRENTLY, advisory locks (creating and pruning), `xmax`, `pg_walfile_name`, `pg_logical_emit_message`. CockroachDB has the
//! rest by its documentation (several arguments of `unnest`, writes inside `WITH`, `FOR SHARE`); nobody has tried it, and it is
//! refused at start.

/// The layout this build reads and writes; in `meta` under `format`.
pub(crate) const FORMAT: u32 = 2;

/// Rows of `world`. Each connection locks one of them, because rows that many share cost more.
pub(crate) const SLOTS: i32 = 64;

/// What leads from one format to the next, in order; the first makes a new journal.
pub(crate) const MIGRATIONS: [&str; FORMAT as usize] = [CREATE, CREATE_WAKES];

/// Entities that have something to do, and from when on.
const CREATE_WAKES: &str = "
    CREATE TABLE wakes (kind int4 NOT NULL, id int8 NOT NULL, at int8 NOT NULL, PRIMARY KEY (kind, id));
    CREATE INDEX wakes_due ON wakes (at, kind, id);
";

/// `fillfactor`: rows that change in place leave room for it, so that no index is touched.
const CREATE: &str = "
    CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
    CREATE TABLE world (slot int4 PRIMARY KEY, generation int8 NOT NULL, part int4 NOT NULL) WITH (fillfactor = 10);
    CREATE TABLE members (incarnation int8 PRIMARY KEY, node int4 NOT NULL, joined_ms int8 NOT NULL)
        WITH (fillfactor = 10);
    CREATE TABLE streams (
        kind int4 NOT NULL, id int8 NOT NULL, last int8 NOT NULL, prior int8 NOT NULL, snapshot int8, token int8 NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
    CREATE TABLE names (
        space bytea NOT NULL, name bytea NOT NULL, n int8 NOT NULL, prior int8 NOT NULL, kind int4, id int8,
        PRIMARY KEY (space, name)
    );
    CREATE TABLE events (
        part int4 NOT NULL, kind int4 NOT NULL, id int8 NOT NULL, seq int8 NOT NULL, at int8 NOT NULL, type int2 NOT NULL,
        cause bytea NOT NULL, payload bytea NOT NULL
    ) PARTITION BY LIST (part);
    CREATE TABLE snapshots (
        part int4 NOT NULL, kind int4 NOT NULL, id int8 NOT NULL, seq int8 NOT NULL, at int8 NOT NULL, payload bytea NOT NULL
    ) PARTITION BY LIST (part);
    CREATE TABLE parts (part int4 PRIMARY KEY, begun_ms int8 NOT NULL);
    INSERT INTO world SELECT slot, 0, 1 FROM generate_series(0, 63) AS slot;
    INSERT INTO meta VALUES ('newest', '0');
";

/// Statements that make partition `part` and put it in its place. It is empty, so that the lock on the whole table is short and lets
/// appends pass.
pub(crate) fn make_part(part: i32) -> String {
    let make = |table: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS {table}_{part} (LIKE {table}, PRIMARY KEY (kind, id, seq), CHECK (part = {part}));
             ALTER TABLE {table} ATTACH PARTITION {table}_{part} FOR VALUES IN ({part});"
        )
    };
    make("events") + &make("snapshots")
}

/// Appends a group as one statement, which is its own transaction: it lands whole, or an error says that nothing did. A hung process
/// never leaves a transaction open.
///
/// A row of `world` and those of the members are locked first, so that a generation and a deleted row fence. The rows of streams come in
/// sorted order, so that two groups never wait for each other in a circle. A row that somebody else has changed is not returned; then
/// the counts do not match, the division by zero undoes everything, and the caller plans again. Wakes come after the streams that
/// they belong to, so the locks of those order them too. `xmax = 0` is true of a row that was
/// new: a new stream begins after 0.
pub(crate) const WRITE: &str = "
    WITH here AS (SELECT generation, part FROM world WHERE slot = $27 FOR SHARE),
    there AS (SELECT incarnation FROM members WHERE incarnation = ANY($1::int8[]) ORDER BY incarnation FOR SHARE),
    moved AS (
        INSERT INTO streams AS s (kind, id, last, prior, snapshot, token)
        SELECT t.*, $7::int8 FROM unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) AS t
        ON CONFLICT (kind, id) DO UPDATE SET last = excluded.last, prior = excluded.prior, token = excluded.token,
            snapshot = coalesce(excluded.snapshot, s.snapshot)
            WHERE s.last = excluded.prior
        RETURNING (s.xmax <> 0 OR s.prior = 0) AS follows
    ),
    named AS (
        INSERT INTO names AS s (space, name, n, prior, kind, id)
        SELECT t.* FROM unnest($8::bytea[], $9::bytea[], $10::int8[], $11::int8[], $12::int4[], $13::int8[]) AS t
        ON CONFLICT (space, name) DO UPDATE SET n = excluded.n, prior = excluded.prior, kind = excluded.kind, id = excluded.id
            WHERE s.n = excluded.prior
        RETURNING (s.xmax <> 0 OR s.prior = 0) AS follows
    ),
    happened AS (
        INSERT INTO events (part, kind, id, seq, at, type, cause, payload)
        SELECT here.part, t.* FROM here,
            unnest($14::int4[], $15::int8[], $16::int8[], $17::int8[], $18::int2[], $19::bytea[], $20::bytea[]) AS t
    ),
    kept AS (
        INSERT INTO snapshots (part, kind, id, seq, at, payload)
        SELECT here.part, t.* FROM here, unnest($21::int4[], $22::int8[], $23::int8[], $24::int8[], $25::bytea[]) AS t
    ),
    woken AS (
        INSERT INTO wakes AS w (kind, id, at)
        SELECT t.* FROM unnest($28::int4[], $29::int8[], $30::int8[]) AS t WHERE (SELECT count(*) FROM moved) >= 0
        ON CONFLICT (kind, id) DO UPDATE SET at = excluded.at
    ),
    rests AS (
        DELETE FROM wakes AS w USING unnest($31::int4[], $32::int8[]) AS t(kind, id)
        WHERE w.kind = t.kind AND w.id = t.id AND (SELECT count(*) FROM moved) >= 0
    )
    SELECT 1 / CASE WHEN here.generation = $26
            AND (SELECT count(*) FROM there) = cardinality($1)
            AND (SELECT count(*) FROM moved WHERE follows) = cardinality($2)
            AND (SELECT count(*) FROM named WHERE follows) = cardinality($8)
        THEN 1 ELSE 0 END,
        -- For this transaction only: whether its commit waits for the disks.
        CASE WHEN $33::bool THEN set_config('synchronous_commit', 'off', true) END
    FROM here";

/// The newest seqs of streams.
pub(crate) const LASTS: &str = "
    SELECT s.kind, s.id, s.last FROM unnest($1::int4[], $2::int8[]) AS t(kind, id)
    JOIN streams AS s ON s.kind = t.kind AND s.id = t.id";
/// The generation, and those of some incarnations that are members.
pub(crate) const GROUND: &str = "
    SELECT generation, ARRAY(SELECT incarnation FROM members WHERE incarnation = ANY($1::int8[])) FROM world
    WHERE slot = 0";
pub(crate) const NAMES: &str = "
    SELECT s.space, s.name, s.n, s.kind, s.id FROM unnest($1::bytea[], $2::bytea[]) AS t(space, name)
    JOIN names AS s ON s.space = t.space AND s.name = t.name";
/// Whose group wrote the rows of streams last.
pub(crate) const TOKENS: &str = "
    SELECT t.n, s.last, s.token FROM unnest($1::int4[], $2::int8[]) WITH ORDINALITY AS t(kind, id, n)
    JOIN streams AS s ON s.kind = t.kind AND s.id = t.id";

/// An entity as of one moment: first the generation and the newest seq, then the newest snapshot, then the events after it. While
/// events are moved from one partition to another there are two equal rows of each.
pub(crate) const LOAD: &str = "
    WITH s AS (SELECT last, snapshot FROM streams WHERE kind = $1 AND id = $2)
    SELECT 0 AS what, generation AS seq, coalesce((SELECT last FROM s), 0) AS at, 0::int2 AS type, ''::bytea AS cause,
        ''::bytea AS payload FROM world WHERE slot = 0
    UNION ALL
    SELECT 1, seq, 0, 0::int2, ''::bytea, payload FROM snapshots
        WHERE kind = $1 AND id = $2 AND seq = (SELECT snapshot FROM s)
    UNION ALL
    SELECT 2, seq, at, type, cause, payload FROM events
        WHERE kind = $1 AND id = $2 AND seq > coalesce((SELECT snapshot FROM s), 0)
    ORDER BY 1, 2";
/// Ids of a kind, of one sign.
pub(crate) const LIST: &str =
    "SELECT id FROM streams WHERE kind = $1 AND id BETWEEN $2 AND $3 ORDER BY id LIMIT $4";
/// Wakes that are due.
pub(crate) const WAKES: &str = "
    SELECT at, kind, id FROM wakes WHERE (at, kind, id) > ($1::int8, $2::int4, $3::int8) AND at <= $4 ORDER BY at, kind, id LIMIT $5";
pub(crate) const STREAM: &str = "
    SELECT DISTINCT ON (seq) seq, at, type, cause, payload FROM events WHERE kind = $1 AND id = $2 AND seq > $3
    ORDER BY seq LIMIT $4";
/// Streams of a kind whose ids have one sign.
pub(crate) const SUMMARIES: &str = "
    SELECT id, coalesce((SELECT min(seq) FROM events AS e WHERE e.kind = s.kind AND e.id = s.id), 0), last, snapshot
    FROM streams AS s WHERE kind = $1 AND id BETWEEN $2 AND $3 ORDER BY id LIMIT $4";
pub(crate) const NEXT_KIND: &str = "SELECT min(kind) FROM streams WHERE kind > $1";

/// Waits until everything committed before is on the disks of all that must confirm it: what was committed while a server went down
/// can be visible and not be there yet.
pub(crate) const BARRIER: &str = "SELECT pg_logical_emit_message(true, 'gundo', '')";
