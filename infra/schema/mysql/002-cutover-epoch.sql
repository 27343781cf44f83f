-- The fence: which colors may write to this ledger. Each payment's INSERT reads the row of its color under a shared lock,
-- so a committed change of `may_write` is obeyed by every INSERT that comes after it, and waits for those before it.
CREATE TABLE IF NOT EXISTS cutover_epoch (
    color     ENUM('blue', 'green') CHARACTER SET ascii NOT NULL,
    may_write BOOLEAN NOT NULL,
    -- Counts the decisions on the fence: an older one is never applied over a newer one.
    epoch     BIGINT  NOT NULL,
    PRIMARY KEY (color)
) ENGINE = InnoDB;

-- Before the first migration both colors may write. Never over an existing decision.
INSERT INTO cutover_epoch (color, may_write, epoch)
SELECT first.color, TRUE, 0
FROM (SELECT 'blue' AS color UNION ALL SELECT 'green') AS first
WHERE NOT EXISTS (SELECT 1 FROM cutover_epoch AS present WHERE present.color = first.color);
