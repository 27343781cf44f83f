//! Weighted records of Route 53 as a router.
//!
//! A change batch is all or nothing, and its DELETE must name a record's exact values: DELETE of what was listed and CREATE
//! of the new in one batch is a compare-and-swap. A batch takes effect later: the change id is asked for until it is INSYNC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_route53::Client;
use aws_sdk_route53::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{ChangeBatch, ChangeStatus, RrType};
use cutover_domain::switch::{Environment, Order, RouterReading, Seen, Versions};
use cutover_ports::switch::{Router, RouterError, Source};

use crate::failure::failure;
pub use crate::route53_records::RecordTarget;
use crate::route53_records::{ALIAS_TTL_SECONDS, Key, Records};
use crate::shares;

/// Seconds until all of Route 53's servers answer by an accepted change ("generally within 60 seconds").
const PROPAGATION_SECONDS: u64 = 60;

/// Pages of a listing. A group of weighted records has at most 100 records, which fit one.
const PAGES_MAX: usize = 10;

/// Records of a page.
const PAGE: i32 = 100;

/// Batches of one write: the second is for one whose answer was lost.
const BATCHES_MAX: usize = 2;

/// Longest part of an answer of unknown form that is shown.
const SHOWN_MAX: usize = 300;

/// Which records split the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route53Entry {
    /// The zone of both.
    pub hosted_zone_id: String,
    /// The name of both.
    pub record_name: String,
    /// The type of both, for example `A`.
    pub record_type: String,
    /// What tells blue's record apart.
    pub blue_set_identifier: String,
    /// What tells green's record apart.
    pub green_set_identifier: String,
    /// What blue's record is made from, if the switch is to make it.
    pub blue_target: Option<RecordTarget>,
    /// What green's record is made from, if the switch is to make it.
    pub green_target: Option<RecordTarget>,
}

/// Two weighted records.
#[derive(Debug, Clone)]
pub struct Route53 {
    client: Client,
    zone: String,
    key: Key,
    blue_target: Option<RecordTarget>,
    green_target: Option<RecordTarget>,
    /// Seconds that resolvers keep an answer, as last listed.
    ttl: Arc<AtomicU64>,
    name: String,
}

/// Why a batch was not done, or is not known to be.
enum Unsent {
    /// Refused for what it says: the records are not as it names them, or it is wrong in itself.
    Refused(Source),
    /// It may have been done.
    Lost(Source),
    /// It was not done.
    Failed(Source),
}

impl Route53 {
    /// A router on `entry`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, entry: Route53Entry) -> Self {
        let zone = entry
            .hosted_zone_id
            .trim_start_matches("/hostedzone/")
            .to_owned();
        let name = format!("route53:{zone}:{}:{}", entry.record_name, entry.record_type);
        Self {
            client: Client::new(sdk),
            zone,
            key: Key {
                name: entry.record_name,
                kind: RrType::from(entry.record_type.as_str()),
                blue: entry.blue_set_identifier,
                green: entry.green_set_identifier,
            },
            blue_target: entry.blue_target,
            green_target: entry.green_target,
            ttl: Arc::new(AtomicU64::new(ALIAS_TTL_SECONDS)),
            name,
        }
    }

    fn failed(&self, operation: &'static str, source: Source) -> RouterError {
        RouterError::Failed {
            router: self.name.clone(),
            operation,
            source,
        }
    }

    fn changed(&self) -> RouterError {
        RouterError::Changed {
            router: self.name.clone(),
        }
    }

    /// All records of the name and type.
    async fn list(&self) -> Result<Records, Source> {
        let mut records = Vec::new();
        let mut start = None;
        for _page in 0..PAGES_MAX {
            let page = self
                .client
                .list_resource_record_sets()
                .hosted_zone_id(&self.zone)
                .start_record_name(&self.key.name)
                .start_record_type(self.key.kind.clone())
                .set_start_record_identifier(start)
                .max_items(PAGE)
                .send()
                .await
                .map_err(failure)?;
            // The listing goes on with the names that follow.
            let of_page = page.resource_record_sets.len();
            let own = page
                .resource_record_sets
                .into_iter()
                .filter(|record| self.key.is_of(record));
            let before = records.len();
            records.extend(own);
            start = page.next_record_identifier;
            if !page.is_truncated || start.is_none() || records.len() - before < of_page {
                let records = Records(records);
                if let Some(ttl) = records.ttl_seconds() {
                    self.ttl.store(ttl, Ordering::Relaxed);
                }
                return Ok(records);
            }
        }
        Err(format!("more than {PAGES_MAX} pages of records of one name and type").into())
    }

    /// Why a change is not in effect, if it is not. What can't be known counts as not in effect.
    async fn pending(&self, change: &str) -> Option<String> {
        let answer = self.client.get_change().id(change).send().await;
        match answer {
            Ok(answer) => match answer.change_info.map(|info| info.status) {
                Some(ChangeStatus::Insync) => None,
                Some(status) => Some(format!("Route 53 change {change} is {}", status.as_str())),
                None => Some(format!("Route 53 does not tell of its change {change}")),
            },
            Err(error) => Some(format!(
                "Route 53 change {change} is not known to be in effect: GetChange: {}",
                failure(error)
            )),
        }
    }

    async fn send(&self, batch: ChangeBatch) -> Result<String, Unsent> {
        let answer = self
            .client
            .change_resource_record_sets()
            .hosted_zone_id(&self.zone)
            .change_batch(batch)
            .send()
            .await;
        let error = match answer {
            Ok(answer) => {
                let id = answer.change_info.map(|info| info.id).unwrap_or_default();
                return Ok(id.trim_start_matches("/change/").to_owned());
            }
            Err(error) => error,
        };
        match &error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status();
                match service.err().code() {
                    Some("InvalidChangeBatch") => Err(Unsent::Refused(failure(error))),
                    // The documented form of InvalidChangeBatch has no code.
                    None if status.as_u16() == 400 => Err(Unsent::Refused(shown(&error).into())),
                    _ if status.is_server_error() => Err(Unsent::Lost(failure(error))),
                    _ => Err(Unsent::Failed(failure(error))),
                }
            }
            SdkError::ConstructionFailure(_) => Err(Unsent::Failed(failure(error))),
            _ => Err(Unsent::Lost(failure(error))),
        }
    }
}

/// The messages of an answer that has no code.
fn shown(
    error: &SdkError<
        ChangeResourceRecordSetsError,
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
    >,
) -> String {
    let body = error
        .raw_response()
        .and_then(|raw| raw.body().bytes())
        .unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let messages = body
        .split("<Message>")
        .skip(1)
        .filter_map(|rest| rest.split("</Message>").next());
    let messages: Vec<&str> = messages.collect();
    let text = format!("InvalidChangeBatch: {}", messages.join("; "));
    text.chars().take(SHOWN_MAX).collect()
}

#[async_trait]
impl Router for Route53 {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_versions(&self) -> bool {
        false
    }

    /// Propagation, and what resolvers then still keep. Clients that ignore the TTL are beyond this.
    fn effect_seconds(&self) -> u64 {
        PROPAGATION_SECONDS.saturating_add(self.ttl.load(Ordering::Relaxed))
    }

    async fn read(&self, _versions: &Versions, change: Option<&str>) -> RouterReading {
        let seen = match self.list().await {
            Ok(records) => records.seen(&self.key),
            Err(source) => Seen::Unreadable(format!("ListResourceRecordSets: {source}")),
        };
        let pending = match change {
            Some(change) => self.pending(change).await,
            None => None,
        };
        RouterReading {
            router: self.name.clone(),
            base: match &seen {
                Seen::Split(weights) => shares::sole(*weights),
                _ => None,
            },
            seen,
            revision: None,
            marker: None,
            takes_versions: false,
            pending,
            needs_change: true,
        }
    }

    async fn write(
        &self,
        order: &Order,
        expected: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        const LIST: &str = "ListResourceRecordSets";
        const CHANGE: &str = "ChangeResourceRecordSets";
        let target = |environment| match environment {
            Environment::Blue => self.blue_target.clone(),
            Environment::Green => self.green_target.clone(),
        };
        let mut records = self.list().await.map_err(|e| self.failed(LIST, e))?;
        if records.seen(&self.key) != expected.seen {
            return Err(self.changed());
        }
        let mut last: Source = "it was not tried".into();
        for _batch in 0..BATCHES_MAX {
            let batch = records
                .change(&self.key, order.weights, target)
                .map_err(|why| self.failed(CHANGE, why.into()))?;
            let (is_refused, source) = match self.send(batch).await {
                Ok(id) => return Ok(Some(id)),
                Err(Unsent::Failed(source)) => return Err(self.failed(CHANGE, source)),
                Err(Unsent::Refused(source)) => (true, source),
                Err(Unsent::Lost(source)) => (false, source),
            };
            let now = self.list().await.map_err(|e| self.failed(LIST, e))?;
            if now == records && is_refused {
                // Nobody has changed the records, so the batch is wrong in itself.
                return Err(self.failed(CHANGE, source));
            }
            if now != records && now.seen(&self.key) != Seen::Split(order.weights) {
                return Err(self.changed());
            }
            // Not done, or done by an attempt whose answer, and with it the change id, was lost: done again, which gives
            // an id to wait for.
            records = now;
            last = source;
        }
        Err(self.failed(CHANGE, last))
    }

    async fn remove(&self) -> Result<(), RouterError> {
        const CHANGE: &str = "ChangeResourceRecordSets";
        let records = self.list().await;
        let records = records.map_err(|e| self.failed("ListResourceRecordSets", e))?;
        let removal = records.removal(&self.key);
        let Some(batch) = removal.map_err(|why| self.failed(CHANGE, why.into()))? else {
            return Ok(());
        };
        match self.send(batch).await {
            Ok(_id) => Ok(()),
            Err(Unsent::Refused(source) | Unsent::Lost(source) | Unsent::Failed(source)) => {
                Err(self.failed(CHANGE, source))
            }
        }
    }
}
