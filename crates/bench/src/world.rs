//! All that a payment calls, as one.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use cutover_testkit::Certificate;
use serde_json::json;
use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::database::{DATABASE, Database, PASSWORD, USER};
use crate::journal::Journal;

/// The secret with the database's credentials.
pub const DB_SECRET: &str = "bench/database";
/// The secret with the key of the keyed hashes.
pub const HASH_KEY_SECRET: &str = "bench/hash-key";
/// The session table.
pub const TABLE: &str = "bench-sessions";
/// The log bucket.
pub const BUCKET: &str = "bench-logs";
/// The authorities that payment-validation believes on AWS.
const AMAZON_AUTHORITIES: &str = include_str!("../../aws/amazon-roots.pem");
/// The authorities that a system believes, of which boto3 brings about as many along.
const SYSTEM_AUTHORITIES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

const SYSTEM: &str = "system.pem";
const AMAZON: &str = "amazon.pem";

/// The services, the database, and what they see.
pub struct World {
    /// DynamoDB, S3, Secrets Manager.
    pub cloud: Cloud,
    /// The ledger.
    pub database: Database,
    journal: Rc<Journal>,
    certificate: Certificate,
    folder: TempDir,
}

impl World {
    /// Starts everything; each call takes `delay`.
    ///
    /// # Panics
    /// If MariaDB or openssl are missing.
    pub async fn start(delay: Duration) -> Self {
        let certificate = Certificate::make();
        let journal = Rc::new(Journal::default());
        let cloud = Cloud::start(&certificate, delay, Rc::clone(&journal)).await;
        let database = Database::start(&certificate, delay, Rc::clone(&journal)).await;
        let credentials = json!({
            "engine": "mysql", "host": "127.0.0.1", "port": database.port(), "username": USER,
            "password": PASSWORD, "dbname": DATABASE,
        });
        cloud.secrets().set(DB_SECRET, &credentials.to_string());
        cloud.secrets().set(HASH_KEY_SECRET, &"1f".repeat(32));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = fs::read(certificate.authority()).expect("the authority");
        let system = SYSTEM_AUTHORITIES
            .iter()
            .find_map(|path| fs::read(path).ok());
        for (name, mut believed) in [
            (SYSTEM, system.unwrap_or_default()),
            (AMAZON, AMAZON_AUTHORITIES.as_bytes().to_vec()),
        ] {
            believed.extend(&authority);
            fs::write(folder.path().join(name), believed).expect("a file of authorities");
        }
        Self {
            cloud,
            database,
            journal,
            certificate,
            folder,
        }
    }

    /// Each call takes `delay` from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.cloud.set_delay(delay);
        self.database.set_delay(delay);
    }

    /// What was called since the last time that this was asked.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The system's authorities and the throw-away one, PEM.
    #[must_use]
    pub fn system_authorities(&self) -> PathBuf {
        self.folder.path().join(SYSTEM)
    }

    /// Amazon's authorities and the throw-away one, PEM.
    #[must_use]
    pub fn amazon_authorities(&self) -> PathBuf {
        self.folder.path().join(AMAZON)
    }

    /// The throw-away authority alone, PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificate.authority()
    }

    /// A folder for what a run leaves.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Servers close connections that nobody speaks on for long: all of them, now.
    pub fn close_connections(&self) {
        self.cloud.close_connections();
        self.database.close_connections();
    }

    /// Forgets every payment.
    pub fn clear(&self) {
        self.cloud.sessions().clear();
        self.cloud.objects().clear();
        self.cloud.alias().clear();
        self.database.clear();
    }

    /// Payments that are complete in all three places: fewest of the three, and most.
    #[must_use]
    pub fn payments(&self) -> (usize, usize) {
        let counts = [
            self.cloud.sessions().count("completed"),
            self.cloud.objects().count(),
            self.database.payments(),
        ];
        let fewest = counts.iter().min().copied().unwrap_or_default();
        let most = counts.iter().max().copied().unwrap_or_default();
        (fewest, most)
    }
}
