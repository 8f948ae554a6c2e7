-- Format 1. Only BIGINT, TEXT and BLOB; time is microseconds since 1970-01-01T00:00:00Z. Record bodies are JSON; the
-- columns beside them are copies for look-ups and are written by the same statement.
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    holder TEXT,
    instance TEXT,
    generation BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX nodes_by_instance ON nodes (instance);
CREATE TABLE volume_connectors (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL REFERENCES nodes (id) DEFERRABLE INITIALLY DEFERRED,
    generation BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX volume_connectors_by_node ON volume_connectors (node);
CREATE TABLE volume_targets (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL REFERENCES nodes (id) DEFERRABLE INITIALLY DEFERRED,
    generation BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX volume_targets_by_node ON volume_targets (node);
-- What makes two targets one volume: a target has a row for each name under which its volume is known.
CREATE TABLE volume_identities (
    identity TEXT NOT NULL,
    target TEXT NOT NULL REFERENCES volume_targets (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (identity, target)
) WITHOUT ROWID;
CREATE INDEX volume_identities_by_target ON volume_identities (target);
-- The last power command to each machine. No reference to nodes: it outlives the run and the node's record, and it is
-- kept here also for nodes whose records are in another inventory.
CREATE TABLE power_marks (
    node TEXT NOT NULL PRIMARY KEY,
    reset TEXT NOT NULL,
    sent_at BIGINT NOT NULL,
    lands_by BIGINT NOT NULL
);
CREATE TABLE plans (id TEXT NOT NULL PRIMARY KEY, created_at BIGINT NOT NULL, body TEXT NOT NULL);
CREATE TABLE runs (
    number BIGINT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL UNIQUE REFERENCES plans (id),
    created_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    name TEXT NOT NULL
);
CREATE TABLE journal (
    run TEXT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;
