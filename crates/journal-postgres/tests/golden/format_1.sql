-- A world as format 1 made it (before `wakes`), with a stream of three events, a snapshot and a name. It is never changed: what
-- this version makes of it is what it makes of the worlds of then.
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
CREATE TABLE IF NOT EXISTS events_0 (LIKE events, PRIMARY KEY (kind, id, seq), CHECK (part = 0));
ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES IN (0);
CREATE TABLE IF NOT EXISTS snapshots_0 (LIKE snapshots, PRIMARY KEY (kind, id, seq), CHECK (part = 0));
ALTER TABLE snapshots ATTACH PARTITION snapshots_0 FOR VALUES IN (0);
CREATE TABLE IF NOT EXISTS events_1 (LIKE events, PRIMARY KEY (kind, id, seq), CHECK (part = 1));
ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES IN (1);
CREATE TABLE IF NOT EXISTS snapshots_1 (LIKE snapshots, PRIMARY KEY (kind, id, seq), CHECK (part = 1));
ALTER TABLE snapshots ATTACH PARTITION snapshots_1 FOR VALUES IN (1);
INSERT INTO parts VALUES (1, 1795291116300);
INSERT INTO meta VALUES ('format', '1'), ('created_ms', '1795291116300'), ('game', 'golden');
UPDATE meta SET value = '70' WHERE key = 'newest';
INSERT INTO streams VALUES (9, 1, 3, 2, 2, 0);
INSERT INTO events VALUES
    (1, 9, 1, 1, 50, 0, '', 'one'), (1, 9, 1, 2, 60, 0, '', 'two'), (1, 9, 1, 3, 70, 0, '', 'three');
INSERT INTO snapshots VALUES (1, 9, 1, 2, 60, 'both');
INSERT INTO names VALUES ('player', 'ada', 1, 0, 9, 1);
