//! The event: first the envelope, which says where the answer goes, then the properties.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::delivery::{ResponseUrl, UrlError};

/// Longest logical id that is repeated in a physical id, in bytes (CloudFormation's own limit is 255).
const LOGICAL_ID_BYTES_MAX: usize = 255;

/// What CloudFormation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// Make it.
    Create,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
}

/// An event, its properties not yet looked at.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for. `None` if CloudFormation has a new word for something.
    pub request_type: Option<RequestType>,
    /// Id of the stack, verbatim.
    pub stack_id: String,
    /// Id of this request, verbatim: the same for a repeated delivery.
    pub request_id: String,
    /// The resource's name in the template, verbatim.
    pub logical_resource_id: String,
    /// Given on Update and Delete.
    pub physical_resource_id: Option<String>,
    /// For example `Custom::EnvironmentSwitch`.
    pub resource_type: String,
    properties: Option<Box<RawValue>>,
    old_properties: Option<Box<RawValue>>,
}

/// An event that can't be answered at all: it does not say where to, or to what.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON object that the protocol describes.
    #[error("the custom-resource event can't be read")]
    Json(#[source] serde_json::Error),
    /// It says nowhere where the answer goes.
    #[error("the custom-resource event has no ResponseURL: it takes a text")]
    NoUrl,
    /// No answer may go there.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// Properties that are no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{which} is no JSON object")]
pub struct PropertiesError {
    /// The member of the event.
    pub which: &'static str,
    /// What is wrong.
    #[source]
    pub source: serde_json::Error,
}

/// Every member may be missing or of another type: what is left still says where the answer goes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    request_type: Option<Value>,
    #[serde(rename = "ResponseURL")]
    response_url: Option<Value>,
    stack_id: Option<Value>,
    request_id: Option<Value>,
    logical_resource_id: Option<Value>,
    physical_resource_id: Option<Value>,
    resource_type: Option<Value>,
    resource_properties: Option<Box<RawValue>>,
    old_resource_properties: Option<Box<RawValue>>,
}

/// The longest `ServiceTimeout`, and the one that holds where none is given (CloudFormation's own), in seconds.
const SERVICE_TIMEOUT_SECONDS_MAX: u64 = 3600;

/// Whether an event is meant to be one of CloudFormation's, however broken.
#[must_use]
pub fn looks_like_custom_resource(event: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Marks {
        #[serde(rename = "ResponseURL")]
        response_url: Option<Value>,
        request_type: Option<Value>,
    }
    serde_json::from_str::<Marks>(event)
        .is_ok_and(|marks| marks.response_url.is_some() || marks.request_type.is_some())
}

impl Request {
    /// Reads the envelope; http URLs of other hosts than this one are taken only if `allow_http`.
    pub(crate) fn parse(
        event: &str,
        allow_http: bool,
    ) -> Result<(Self, ResponseUrl), EnvelopeError> {
        let envelope: Envelope = serde_json::from_str(event).map_err(EnvelopeError::Json)?;
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let url = text(envelope.response_url).ok_or(EnvelopeError::NoUrl)?;
        let url = ResponseUrl::parse(&url, allow_http)?;
        let request_type = match text(envelope.request_type).as_deref() {
            Some("Create") => Some(RequestType::Create),
            Some("Update") => Some(RequestType::Update),
            Some("Delete") => Some(RequestType::Delete),
            _ => None,
        };
        let request = Self {
            request_type,
            stack_id: text(envelope.stack_id).unwrap_or_default(),
            request_id: text(envelope.request_id).unwrap_or_default(),
            logical_resource_id: text(envelope.logical_resource_id).unwrap_or_default(),
            physical_resource_id: text(envelope.physical_resource_id),
            resource_type: text(envelope.resource_type).unwrap_or_default(),
            properties: envelope.resource_properties,
            old_properties: envelope.old_resource_properties,
        };
        Ok((request, url))
    }

    /// What makes the event one that nothing can be done for, but to answer it.
    pub(crate) fn defect(&self) -> Option<String> {
        let ids = [
            ("StackId", &self.stack_id),
            ("RequestId", &self.request_id),
            ("LogicalResourceId", &self.logical_resource_id),
        ];
        let missing: Vec<&str> = ids
            .into_iter()
            .filter_map(|(name, id)| id.is_empty().then_some(name))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Some(format!("the event has no {missing}: each takes a text"));
        }
        self.request_type
            .is_none()
            .then(|| "RequestType is none of Create, Update, Delete".to_owned())
    }

    /// How long CloudFormation waits for the answer: the property `ServiceTimeout`, or an hour.
    #[must_use]
    pub fn service_timeout(&self) -> Duration {
        let properties = self.properties().unwrap_or_default();
        let seconds = match properties.get("ServiceTimeout") {
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            _ => None,
        };
        let seconds = seconds.filter(|s| (1..=SERVICE_TIMEOUT_SECONDS_MAX).contains(s));
        Duration::from_secs(seconds.unwrap_or(SERVICE_TIMEOUT_SECONDS_MAX))
    }

    /// A hash of the properties (of the old ones if `old`), the same whatever the order of their members.
    pub(crate) fn properties_hash(&self, old: bool) -> Option<String> {
        let properties = if old {
            self.old_properties()
        } else {
            self.properties()
        };
        // A map of serde_json has its members in order, so its text is canonical.
        let text = Value::Object(properties.ok()?).to_string();
        Some(hex::encode(Sha256::digest(text.as_bytes())))
    }

    /// The properties; empty if there are none.
    ///
    /// # Errors
    /// If they are no JSON object.
    pub fn properties(&self) -> Result<Map<String, Value>, PropertiesError> {
        object("ResourceProperties", self.properties.as_deref())
    }

    /// The properties before an Update; empty if there are none.
    ///
    /// # Errors
    /// If they are no JSON object.
    pub fn old_properties(&self) -> Result<Map<String, Value>, PropertiesError> {
        object("OldResourceProperties", self.old_properties.as_deref())
    }

    /// An id that follows from the stack and the logical id alone, so that no retry and no Update makes another.
    #[must_use]
    pub fn own_id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.stack_id.as_bytes());
        hash.update([0]);
        hash.update(self.logical_resource_id.as_bytes());
        let digest = hex::encode(hash.finalize());
        let name: String = self
            .logical_resource_id
            .char_indices()
            .take_while(|(at, c)| at.saturating_add(c.len_utf8()) <= LOGICAL_ID_BYTES_MAX)
            .map(|(_, c)| c)
            .collect();
        format!("{name}-{}", digest.get(..16).unwrap_or(&digest))
    }

    /// The id that the answer names: CloudFormation's where it gave one, for a changed id would be a replacement.
    #[must_use]
    pub fn answered_id(&self) -> String {
        self.physical_resource_id
            .clone()
            .unwrap_or_else(|| self.own_id())
    }
}

fn object(
    which: &'static str,
    raw: Option<&RawValue>,
) -> Result<Map<String, Value>, PropertiesError> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(Map::new()),
        Some(raw) => serde_json::from_str(raw).map_err(|source| PropertiesError { which, source }),
    }
}
