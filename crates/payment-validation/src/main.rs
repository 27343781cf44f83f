//! The function `payment-validation`: validates, records and completes payments. Wiring only.

use std::process::ExitCode;
use std::time::Duration;

use cutover_aws::config::CallLimits;
use cutover_aws::secrets::SecretsManager;
use cutover_aws::session_store::DynamoSessions;
use cutover_aws::transaction_log::S3Log;
use cutover_lambda::run;
use cutover_ledger::SqlLedger;

use payment_validation::config::Config;
use payment_validation::handler::PaymentValidation;
use payment_validation::hash_keys::HashKeys;
use payment_validation::health::LastHealth;
use payment_validation::pay::Payments;

/// Someone waits for the answer: a call that takes longer has failed, and the next one may not.
const LIMITS: CallLimits = CallLimits {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(2),
    operation: Duration::from_secs(5),
    attempts_max: 3,
};

type Wired = PaymentValidation<DynamoSessions, SqlLedger<SecretsManager>, S3Log, SecretsManager>;

fn main() -> ExitCode {
    run::main(Config::read, build)
}

async fn build(config: Config) -> Wired {
    let sdk = cutover_aws::config::load(LIMITS).await;
    let secrets = SecretsManager::new(&sdk);
    let db_secret = config.ledger.secret_id.clone();
    PaymentValidation {
        payments: Payments {
            color: config.color,
            environment: config.environment,
            sessions: DynamoSessions::new(&sdk, config.session_table),
            ledger: SqlLedger::new(secrets.clone(), config.ledger),
            log: S3Log::new(&sdk, config.transaction_bucket),
            hash_keys: HashKeys::new(secrets, config.hash_key_secret),
        },
        rules: config.rules,
        body_bytes_max: config.body_bytes_max,
        db_secret,
        last_health: LastHealth::default(),
    }
}
