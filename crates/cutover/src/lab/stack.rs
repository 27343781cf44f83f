//! The bundled template, deployed as its users deploy it: a create, and later an update that brings green.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover_aws::config::SharedConfig;
use cutover_aws::evidence::Evidence;
use cutover_aws::stack::Stacks;

use super::package::package;
use super::{Color, LabError};

/// The environment's name, and the stack's.
pub const ENVIRONMENT: &str = "dev-payment-lab00001";
/// The bucket for zip files and templates.
const CODE_BUCKET: &str = "code-dev-payment-lab00001";
/// Where the templates are in it.
const TEMPLATE_PREFIX: &str = "templates";
/// The folders of templates, below `infra`: the root's own and those of the stacks that it is made of.
const TEMPLATE_FOLDERS: [&str; 3] = ["", "stacks", "iam"];
/// What a migration must pass: everything that the lab has. Its databases have no TLS, and nothing rotates here.
const MIGRATION_CHECKS: &str = "session-table,transaction-bucket,replication,schema-parity,data-parity,reconciliation,functions,\
     alarms,keys";
/// What each stack operation must pass. The clusters are left out: their servers are not Aurora, and the update that brings
/// green shares two cores with the payments.
const STACK_CHECKS: &str = "session-table,transaction-bucket,functions,alarms,keys";
/// How long a stack operation may take.
const OPERATION_MAX: Duration = Duration::from_mins(3);

/// A release of the template that can be deployed.
#[derive(Debug)]
pub struct Release {
    stacks: Stacks,
    template_url: String,
    parameters: BTreeMap<String, String>,
}

/// What the template's outputs name.
#[derive(Debug, Clone)]
pub struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// An output that the template promises.
    pub fn get(&self, name: &str) -> Result<&str, LabError> {
        self.0
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| LabError::Unexpected(format!("the stack has no output {name}")))
    }
}

/// The name of a color's database cluster in the template.
#[must_use]
pub fn cluster(color: Color) -> String {
    format!("cluster-{color}-{ENVIRONMENT}")
}

impl Release {
    /// Uploads the functions and the template, and prepares a first deployment of blue.
    pub async fn upload(
        config: &SharedConfig,
        endpoint: &str,
        project: &Path,
        binaries: &Path,
        tick_seconds: u32,
    ) -> Result<Self, LabError> {
        let files = Evidence::new(config);
        files.create_bucket(CODE_BUCKET).await?;
        let mut parameters = BTreeMap::from(
            [
                ("EnvironmentName", ENVIRONMENT.to_owned()),
                ("CodeBucket", CODE_BUCKET.to_owned()),
                ("TemplatePrefix", TEMPLATE_PREFIX.to_owned()),
                ("DeployColor", "blue".to_owned()),
                ("BlueRelease", "1".to_owned()),
                ("DatabaseTls", "false".to_owned()),
                // The lab's databases replicate by themselves, and the lab brings the schema: its users come first.
                ("EnableReplication", "false".to_owned()),
                ("AlarmPeriodSeconds", "10".to_owned()),
                ("TickSeconds", tick_seconds.to_string()),
                ("PaymentTimeoutSeconds", "10".to_owned()),
                ("ValidationChecks", STACK_CHECKS.to_owned()),
                ("MigrationChecks", MIGRATION_CHECKS.to_owned()),
                // A reader and two NAT gateways more would only be written down.
                ("ReaderCount", "0".to_owned()),
                ("NatGatewayCount", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        for (parameter, function) in [
            ("PaymentValidationKey", "payment-validation"),
            ("EnvironmentSwitcherKey", "environment-switcher"),
            ("PreMigrationValidatorKey", "pre-migration-validator"),
            ("SecretRotationKey", "secret-rotation"),
        ] {
            let package = package(function, binaries)?;
            files.put(CODE_BUCKET, &package.key, package.bytes).await?;
            parameters.insert(parameter.to_owned(), package.key);
        }
        for (key, template) in templates(&project.join("infra"))? {
            files.put(CODE_BUCKET, &key, template).await?;
        }
        Ok(Self {
            stacks: Stacks::new(config),
            template_url: format!("{endpoint}/{CODE_BUCKET}/{TEMPLATE_PREFIX}/template.yaml"),
            parameters,
        })
    }

    /// Creates the stack, with blue alone.
    pub async fn deploy_blue(&self) -> Result<Outputs, LabError> {
        self.deploy().await
    }

    /// Updates the stack: the function takes green's configuration, and the next version is published.
    pub async fn deploy_green(&mut self, release: &str) -> Result<Outputs, LabError> {
        for (name, value) in [
            ("DeployColor", "green"),
            ("GreenRelease", release),
            ("MigrationPhase", "migration"),
        ] {
            self.parameters.insert(name.to_owned(), value.to_owned());
        }
        self.deploy().await
    }

    /// Deletes the stack.
    pub async fn delete(&self) -> Result<(), LabError> {
        Ok(self.stacks.delete(ENVIRONMENT, OPERATION_MAX).await?)
    }

    async fn deploy(&self) -> Result<Outputs, LabError> {
        let outputs = self
            .stacks
            .deploy(
                ENVIRONMENT,
                &self.template_url,
                &self.parameters,
                OPERATION_MAX,
            )
            .await?;
        Ok(Outputs(outputs))
    }
}

/// Every template below `infra`, by the key that the root expects it under.
fn templates(infra: &Path) -> Result<Vec<(String, Vec<u8>)>, LabError> {
    let failed = || LabError::process("lab", "read the templates");
    let mut found = Vec::new();
    for folder in TEMPLATE_FOLDERS {
        let path = infra.join(folder);
        let mut files: Vec<PathBuf> = std::fs::read_dir(&path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(failed())?;
        files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
        for file in files {
            let Some(name) = file.strip_prefix(infra).ok().and_then(Path::to_str) else {
                continue;
            };
            let template = std::fs::read(&file).map_err(failed())?;
            found.push((format!("{TEMPLATE_PREFIX}/{name}"), template));
        }
    }
    Ok(found)
}
