-- The fence: which colors may write to this ledger. Each payment's INSERT reads the row of its color under a shared lock,
-- so a committed change of `may_write` is obeyed by every INSERT that comes after it, and waits for those before it.
--
-- Who pays needs, and needs no more than:
--   GRANT SELECT, INSERT ON payments TO <user>;
--   GRANT SELECT, UPDATE (color) ON cutover_epoch TO <user>;
-- PostgreSQL locks a row only for those who may update one of its columns. `color` is the harmless one: with both rows
-- present the primary key and the check refuse every other value.
--
-- Who sets the fence takes the table first, in one transaction:
--   BEGIN; LOCK TABLE cutover_epoch IN EXCLUSIVE MODE; UPDATE cutover_epoch SET ...; COMMIT;
-- A waiting UPDATE alone does not keep new shared locks out: with 16 sessions that pay without a pause it was seen to wait
-- for 2 s, and nothing bounds it. Behind the lock on the table they queue, and it waits for those before it only (5 ms).
CREATE TABLE IF NOT EXISTS cutover_epoch (
    color     VARCHAR(5) COLLATE "C" NOT NULL CHECK (color IN ('blue', 'green')),
    may_write BOOLEAN    NOT NULL,
    -- Counts the decisions on the fence: an older one is never applied over a newer one.
    epoch     BIGINT     NOT NULL,
    PRIMARY KEY (color)
);

-- Before the first migration both colors may write. Never over an existing decision.
INSERT INTO cutover_epoch (color, may_write, epoch)
VALUES ('blue', TRUE, 0), ('green', TRUE, 0)
ON CONFLICT (color) DO NOTHING;
