-- Who executes a run (ports/lease.rs). A row for each executor that a run ever had; only the newest may write. Times with
-- `boottime` are microseconds on the boot-time clock of the host that was started as `boot_id`.
CREATE TABLE leases (
    run TEXT NOT NULL REFERENCES runs (id),
    token BIGINT NOT NULL,
    pid BIGINT NOT NULL,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    length_ms BIGINT NOT NULL,
    expires_boottime_us BIGINT NOT NULL,
    -- Until then nobody looks at anything: what an executor sent that was taken over may still land.
    quiet_boottime_us BIGINT NOT NULL,
    PRIMARY KEY (run, token)
) WITHOUT ROWID;
