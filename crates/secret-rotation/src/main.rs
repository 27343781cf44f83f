//! The function `secret-rotation`: new credentials, no failed login. Wiring only.

use std::process::ExitCode;
use std::time::Duration;

use cutover_aws::config::CallLimits;
use cutover_aws::secret_versions::RotatedSecrets;
use cutover_lambda::run;
use cutover_ledger::accounts::SqlDatabases;

use secret_rotation::config::Config;
use secret_rotation::handler::SecretRotation;
use secret_rotation::rotation::{Rotation, random_salt};

/// Nobody waits for the answer, and Secrets Manager itself repeats a step that failed.
const LIMITS: CallLimits = CallLimits {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(12),
    attempts_max: 3,
};

fn main() -> ExitCode {
    run::main(Config::read, build)
}

async fn build(config: Config) -> SecretRotation<RotatedSecrets, SqlDatabases> {
    let sdk = cutover_aws::config::load(LIMITS).await;
    SecretRotation {
        environment: config.environment,
        rotation: Rotation {
            versions: RotatedSecrets::new(&sdk),
            databases: SqlDatabases {
                ca_bundle: config.ca_bundle,
            },
            policy: config.policy,
            strategy: config.strategy,
            salt: random_salt,
        },
    }
}
