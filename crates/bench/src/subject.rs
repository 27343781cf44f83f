//! What is measured: a command, its variables, and the files that would be deployed.

use std::path::{Path, PathBuf};

use crate::world::{BUCKET, DB_SECRET, HASH_KEY_SECRET, TABLE, World};

/// What a subject does, and so what is expected of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Empty,
    /// Payments, on connections that are kept, ledger and log at once.
    Payments,
    /// The same, but it may be too slow to have ledger and log under way at once.
    Peer,
    /// Payments, on connections that are made for each.
    InHandler,
}

/// A subject.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is called in reports.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Payments of a process after its first, if not as many as of others.
    pub warm: Option<usize>,
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: Option<PathBuf>,
    /// Variables beside those that all have.
    pub variables: Vec<(String, String)>,
    /// Files and folders that would be deployed.
    pub package: Vec<PathBuf>,
}

impl Subject {
    /// A function's binary, which is deployed as it is.
    #[must_use]
    pub fn function(name: &str, binary: &Path) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Payments,
            warm: None,
            command: binary.to_path_buf(),
            arguments: Vec::new(),
            folder: None,
            variables: Vec::new(),
            package: vec![binary.to_path_buf()],
        }
    }

    /// A peer: a program that an interpreter runs in a folder.
    #[must_use]
    pub fn peer(name: &str, interpreter: &Path, arguments: &[&str], folder: &Path) -> Self {
        Self {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            folder: Some(folder.to_path_buf()),
            package: vec![folder.to_path_buf()],
            kind: Kind::Peer,
            ..Self::function(name, interpreter)
        }
    }

    /// Of another kind, with so many payments of a process after its first.
    #[must_use]
    pub fn of_kind(self, kind: Kind, warm: Option<usize>) -> Self {
        Self { kind, warm, ..self }
    }

    /// The same, run by another program: a profiler, for example.
    #[must_use]
    pub fn under(mut self, program: &str, arguments: &[&str]) -> Self {
        let mut all: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        all.push(self.command.display().to_string());
        all.append(&mut self.arguments);
        self.arguments = all;
        self.command = PathBuf::from(program);
        self
    }

    /// With a variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// All that the process finds in its environment: what Lambda sets, and what tells it of the services.
    #[must_use]
    pub fn environment(&self, world: &World) -> Vec<(String, String)> {
        let ports = world.cloud.ports();
        let https = |port: u16| format!("https://127.0.0.1:{port}");
        let amazon = world.amazon_authorities().display().to_string();
        let system = world.system_authorities().display().to_string();
        let authority = world.authority().display().to_string();
        let mut all: Vec<(String, String)> = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "bench-only"),
            ("AWS_SESSION_TOKEN", "bench-only"),
            ("ENVIRONMENT", "dev-payment-bench000"),
            ("COLOR", "blue"),
            ("SESSION_TABLE", TABLE),
            ("TRANSACTION_BUCKET", BUCKET),
            ("DB_SECRET_ARN", DB_SECRET),
            ("HASH_KEY_SECRET_ARN", HASH_KEY_SECRET),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", https(ports.sessions)),
            ("AWS_ENDPOINT_URL_S3", https(ports.log)),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", https(ports.secrets)),
            ("AWS_ENDPOINT_URL_LAMBDA", https(ports.functions)),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", https(ports.alarms)),
            // How each is told of the throw-away authority, beside those that it reads on AWS: payment-validation (and the
            // floor) Amazon's, boto3 a system's; Node has its own built in.
            ("SSL_CERT_FILE", amazon),
            ("AWS_CA_BUNDLE", system),
            ("NODE_EXTRA_CA_CERTS", authority.clone()),
            // The ledger's. On AWS it is the authority of RDS, which the function has built in.
            ("CA_BUNDLE", authority),
        ] {
            all.push((name.to_owned(), value));
        }
        all.extend(self.variables.iter().cloned());
        all
    }
}
