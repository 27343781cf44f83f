-- The ledger: a row is a payment. Engines: Aurora PostgreSQL 14 and later, PostgreSQL 14 and later. The database's
-- encoding must be UTF8. The same meaning as in ../mysql, column by column.
--
-- Rows replicate both ways between two writers while a cutover runs, so nothing here counts up (no sequence, no identity),
-- and a row never changes but from `completed` to nothing: a payment that was given up has a row of its own (`voided`),
-- put under the same key before anything else could be.
CREATE TABLE IF NOT EXISTS payments (
    -- `u:<caller>`, `m:<merchant>` or `public`: printable ASCII without spaces, compared byte by byte.
    scope            VARCHAR(202) COLLATE "C" NOT NULL,
    -- Any printable ASCII, compared byte by byte: a trailing space counts.
    idempotency_key  VARCHAR(255) COLLATE "C" NOT NULL,
    transaction_id   VARCHAR(64)  COLLATE "C" NOT NULL,
    -- Keyed hash of the canonical request: tells the same request from another under the same key.
    fingerprint      BYTEA        NOT NULL CHECK (octet_length(fingerprint) = 32),
    status           VARCHAR(9)   COLLATE "C" NOT NULL CHECK (status IN ('completed', 'voided')),
    user_id          VARCHAR(128) COLLATE "C" NOT NULL,
    merchant_id      VARCHAR(64)  COLLATE "C" NULL,
    -- In the currency's minor unit; `exponent` is that of the day of the payment.
    amount           BIGINT       NOT NULL,
    currency         VARCHAR(3)   COLLATE "C" NOT NULL CHECK (octet_length(currency) = 3),
    exponent         SMALLINT     NOT NULL CHECK (exponent BETWEEN 0 AND 255),
    -- Never a card number: brand, last four digits and a keyed hash.
    card_brand       VARCHAR(16)  COLLATE "C" NULL,
    card_last4       VARCHAR(4)   COLLATE "C" NULL CHECK (octet_length(card_last4) = 4),
    paid_with_hash   BYTEA        NOT NULL CHECK (octet_length(paid_with_hash) = 32),
    environment      VARCHAR(32)  COLLATE "C" NOT NULL,
    -- Who executed the payment.
    color            VARCHAR(5)   COLLATE "C" NOT NULL CHECK (color IN ('blue', 'green')),
    -- When the payment was first claimed.
    created_at       TIMESTAMPTZ(3) NOT NULL,
    PRIMARY KEY (scope, idempotency_key),
    CONSTRAINT payments_transaction UNIQUE (scope, transaction_id)
);

CREATE INDEX IF NOT EXISTS payments_created ON payments (created_at);
