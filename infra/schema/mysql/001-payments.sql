-- The ledger: a row is a payment. Engines: Aurora MySQL 8.0, MySQL 8, MariaDB 10.6 and later.
--
-- Rows replicate both ways between two writers while a cutover runs, so nothing here counts up (no AUTO_INCREMENT), and
-- a row never changes but from `completed` to nothing: a payment that was given up has a row of its own (`voided`), put
-- under the same key before anything else could be.
CREATE TABLE IF NOT EXISTS payments (
    -- `u:<caller>`, `m:<merchant>` or `public`: printable ASCII without spaces, compared byte by byte.
    scope            VARCHAR(202)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Any printable ASCII. Binary, because a trailing space counts and collations pad.
    idempotency_key  VARBINARY(255) NOT NULL,
    transaction_id   VARCHAR(64)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Keyed hash of the canonical request: tells the same request from another under the same key.
    fingerprint      BINARY(32)     NOT NULL,
    status           ENUM('completed', 'voided') CHARACTER SET ascii NOT NULL,
    user_id          VARCHAR(128)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    merchant_id      VARCHAR(64)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- In the currency's minor unit; `exponent` is that of the day of the payment.
    amount           BIGINT         NOT NULL,
    currency         CHAR(3)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    exponent         TINYINT UNSIGNED NOT NULL,
    -- Never a card number: brand, last four digits and a keyed hash.
    card_brand       VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NULL,
    card_last4       CHAR(4)        CHARACTER SET ascii COLLATE ascii_bin NULL,
    paid_with_hash   BINARY(32)     NOT NULL,
    environment      VARCHAR(32)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Who executed the payment.
    color            ENUM('blue', 'green') CHARACTER SET ascii NOT NULL,
    -- UTC. When the payment was first claimed.
    created_at       DATETIME(3)    NOT NULL,
    PRIMARY KEY (scope, idempotency_key),
    UNIQUE KEY payments_transaction (scope, transaction_id),
    KEY payments_created (created_at)
) ENGINE = InnoDB;
