//! Secrets Manager: the versions of a secret while it is rotated.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use cutover_domain::rotation::admission::{CURRENT, PENDING};
use cutover_domain::rotation::{Password, Versions};
use cutover_ports::payment::{Applied, CallError, SecretText};
use cutover_ports::rotation::{NewVersion, PasswordPolicy, SecretVersions, Stored, Which};

use crate::call;

/// Pages of versions that are looked at. Secrets Manager keeps about a hundred versions.
const PAGES_MAX: usize = 10;

/// The secrets of an account, with their versions.
#[derive(Clone)]
pub struct RotatedSecrets {
    client: Client,
}

impl RotatedSecrets {
    /// The secrets that the process may rotate.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

impl SecretVersions for RotatedSecrets {
    async fn describe(&self, secret_id: &str) -> Result<Versions, CallError> {
        let answer = self
            .client
            .describe_secret()
            .secret_id(secret_id)
            .send()
            .await
            .map_err(|error| call::error("describe secret", &error))?;
        let labels = answer.version_ids_to_stages.unwrap_or_default();
        Ok(Versions {
            rotation_enabled: answer.rotation_enabled,
            labels: labels.into_iter().collect(),
        })
    }

    async fn unlabelled(&self, secret_id: &str, limit: usize) -> Result<Vec<String>, CallError> {
        let mut found = Vec::new();
        let mut next = None;
        for _page in 0..PAGES_MAX {
            let answer = self
                .client
                .list_secret_version_ids()
                .secret_id(secret_id)
                .include_deprecated(true)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| call::error("list secret versions", &error))?;
            for version in answer.versions.unwrap_or_default() {
                let labels = version.version_stages.unwrap_or_default();
                let made = version
                    .created_date
                    .map_or(0, |date| date.to_millis().unwrap_or(0));
                if let (true, Some(id)) = (labels.is_empty(), version.version_id) {
                    found.push((made, id));
                }
            }
            next = answer.next_token;
            if next.is_none() {
                break;
            }
        }
        found.sort_by(|left, right| right.cmp(left));
        Ok(found.into_iter().take(limit).map(|(_, id)| id).collect())
    }

    async fn value(
        &self,
        secret_id: &str,
        which: Which<'_>,
    ) -> Result<Option<SecretText>, CallError> {
        let (id, label) = match which {
            Which::Labelled(label) => (None, Some(label)),
            Which::Version { id, label } => (Some(id), label),
        };
        let answer = self
            .client
            .get_secret_value()
            .secret_id(secret_id)
            .set_version_id(id.map(str::to_owned))
            .set_version_stage(label.map(str::to_owned))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            // No version, no such label, or a version that has no value yet.
            Err(SdkError::ServiceError(service))
                if service.err().is_resource_not_found_exception() =>
            {
                return Ok(None);
            }
            Err(error) => return Err(call::error("get secret", &error)),
        };
        if answer.secret_string.is_none() && answer.secret_binary.is_some() {
            return Err(CallError {
                operation: "get secret",
                applied: Applied::No,
                source: "the secret is binary; it must be text".into(),
            });
        }
        Ok(answer
            .secret_string
            .filter(|text| !text.is_empty())
            .map(SecretText::new))
    }

    async fn random_password(&self, policy: &PasswordPolicy) -> Result<Password, CallError> {
        let answer = self
            .client
            .get_random_password()
            .password_length(i64::from(policy.length))
            .set_exclude_characters(
                Some(policy.exclude_characters.clone()).filter(|some| !some.is_empty()),
            )
            .exclude_numbers(policy.exclude_numbers)
            .exclude_punctuation(policy.exclude_punctuation)
            .exclude_uppercase(policy.exclude_uppercase)
            .exclude_lowercase(policy.exclude_lowercase)
            .include_space(false)
            .require_each_included_type(policy.require_each_included_type)
            .send()
            .await
            .map_err(|error| call::error("get random password", &error))?;
        let password = answer.random_password.map(Password::new);
        // A short answer is no password: it would be stored, set and used.
        password
            .filter(|password| password.expose().chars().count() == usize::from(policy.length))
            .ok_or_else(|| CallError {
                operation: "get random password",
                applied: Applied::No,
                source: "the answer has not the length that was asked for".into(),
            })
    }

    async fn put_pending(&self, version: NewVersion<'_>) -> Result<Stored, CallError> {
        let answer = self
            .client
            .put_secret_value()
            .secret_id(version.secret_id)
            .client_request_token(version.token)
            .set_rotation_token(version.rotation_token.map(|t| t.expose().to_owned()))
            .secret_string(version.value)
            .version_stages(PENDING)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Stored::Done),
            Err(SdkError::ServiceError(service))
                if matches!(
                    service.err(),
                    PutSecretValueError::ResourceExistsException(_)
                ) =>
            {
                Ok(Stored::OtherValue)
            }
            Err(error) => Err(call::error("put secret value", &error)),
        }
    }

    async fn promote(
        &self,
        secret_id: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), CallError> {
        self.client
            .update_secret_version_stage()
            .secret_id(secret_id)
            .version_stage(CURRENT)
            .move_to_version_id(to)
            .set_remove_from_version_id(from.map(str::to_owned))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| call::error("move AWSCURRENT", &error))
    }
}
