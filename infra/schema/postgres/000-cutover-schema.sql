-- Which versions of this schema the database has: a row per file of this folder that was applied, by its number.
-- `Custom::DatabaseSchema` writes it. It tells of this server alone: keep it, like `cutover_epoch`, out of replication.
CREATE TABLE IF NOT EXISTS cutover_schema (
    version    INTEGER     NOT NULL,
    name       VARCHAR(64) COLLATE "C" NOT NULL,
    -- SHA-256 of the file's statements, in hexadecimal: what was applied under a number never changes.
    digest     VARCHAR(64) COLLATE "C" NOT NULL CHECK (octet_length(digest) = 64),
    applied_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (version)
);
