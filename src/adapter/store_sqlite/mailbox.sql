-- Requests of people to a run, from whichever terminal. A table that earlier versions do not know and do not mind.
CREATE TABLE IF NOT EXISTS mailbox (
    run TEXT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sender TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;
