//! Routes, actions and what may come with them.

use cutover_domain::payment::{Code, Problem};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Make a payment.
    Payment,
    /// Only check one.
    Validate,
    /// Ask for one's status.
    Lookup,
    /// Whether the process answers.
    Health,
    /// Whether its dependencies do.
    DeepHealth,
    /// Test one of them: by direct invocation only.
    SelfTest(Dependency),
    /// Finish or give up what dead attempts left behind: by schedule only.
    Sweep,
}

/// What a self-test goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The session table.
    Sessions,
    /// The log bucket.
    Log,
    /// The secrets.
    Secrets,
}

impl Route {
    /// The name in the log line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Validate => "validate",
            Self::Lookup => "lookup",
            Self::Health => "health",
            Self::DeepHealth => "deep_health",
            Self::SelfTest(_) => "self_test",
            Self::Sweep => "sweep",
        }
    }

    /// Whether someone waits for a payment: only that counts as a request, or as a failed one. A heartbeat says that the
    /// color is there, and dilutes no rate.
    #[must_use]
    pub fn is_request(self) -> bool {
        matches!(self, Self::Payment | Self::Validate | Self::Lookup)
    }
}

/// Every route over HTTP: its path as OpenAPI writes it, its one method, what it is. The first that fits counts.
pub const ROUTES: [(&str, &str, Route); 5] = [
    ("/payment", "POST", Route::Payment),
    ("/payment/validate", "POST", Route::Validate),
    ("/payment/{transactionId}", "GET", Route::Lookup),
    ("/health", "GET", Route::Health),
    ("/health/deep", "GET", Route::DeepHealth),
];

/// The route of a request.
///
/// # Errors
/// 404 for a path that is none, 405 for one that has another method.
pub fn of(method: &str, path: &str) -> Result<Route, Problem> {
    let fits = |route: Route, template: &str| match route {
        Route::Lookup => transaction_id(path).is_some(),
        _ => template == path,
    };
    let found = ROUTES
        .into_iter()
        .find(|(template, _, route)| fits(*route, template));
    let Some((_, allow, route)) = found else {
        return Err(Problem::new(Code::NotFound, "There is no such route."));
    };
    if method == allow {
        return Ok(route);
    }
    Err(Problem {
        allow: Some(allow),
        ..Problem::new(Code::MethodNotAllowed, format!("This route takes {allow}."))
    })
}

/// The transaction id in the path of a lookup, `/payment/{transactionId}`.
#[must_use]
pub fn transaction_id(path: &str) -> Option<&str> {
    path.strip_prefix("/payment/")
        .filter(|id| !id.is_empty() && !id.contains('/'))
}

/// The route of a direct invocation's action.
///
/// # Errors
/// 404 with the actions that there are.
pub fn of_action(action: &str) -> Result<Route, Problem> {
    match action {
        "payment" => Ok(Route::Payment),
        "validate" => Ok(Route::Validate),
        "lookup" => Ok(Route::Lookup),
        "health" => Ok(Route::Health),
        "test-dynamodb-access" => Ok(Route::SelfTest(Dependency::Sessions)),
        "test-s3-access" => Ok(Route::SelfTest(Dependency::Log)),
        "test-secrets-access" => Ok(Route::SelfTest(Dependency::Secrets)),
        _ => Err(Problem::new(
            Code::NotFound,
            "unknown action: this function takes \"payment\", \"validate\", \"lookup\", \"health\", \
             \"test-dynamodb-access\", \"test-s3-access\" and \"test-secrets-access\"",
        )),
    }
}

/// The one idempotency key of a request, if it has one.
///
/// # Errors
/// If it has several that differ.
pub fn single_key(values: &[String]) -> Result<Option<&str>, Problem> {
    match values {
        [] => Ok(None),
        [first, others @ ..] if others.iter().all(|other| other == first) => Ok(Some(first)),
        _ => {
            let detail = "There is more than one Idempotency-Key.";
            Err(Problem::new(Code::IdempotencyKeyInvalid, detail))
        }
    }
}

/// Whether a body may be JSON in UTF-8; a body of no stated type counts as that.
///
/// # Errors
/// 415.
pub fn content_type(values: &[String]) -> Result<(), Problem> {
    let is_json = |value: &String| {
        let mut parts = value
            .split(';')
            .map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        kind == "application/json"
            && parts.all(|parameter| match parameter.split_once('=') {
                Some(("charset", charset)) => matches!(charset.trim_matches('"'), "utf-8" | "utf8"),
                _ => true,
            })
    };
    if values.iter().all(is_json) {
        Ok(())
    } else {
        let detail = "The body must be application/json in UTF-8.";
        Err(Problem::new(Code::UnsupportedMediaType, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_one_method_each() {
        assert_eq!(of("POST", "/payment"), Ok(Route::Payment));
        assert_eq!(of("GET", "/health"), Ok(Route::Health));
        assert_eq!(of("GET", "/health/deep"), Ok(Route::DeepHealth));
        assert_eq!(of_action("health"), Ok(Route::Health));
        let refused = of("GET", "/payment").unwrap_err();
        assert_eq!(
            (refused.code, refused.allow),
            (Code::MethodNotAllowed, Some("POST"))
        );
        assert_eq!(of("GET", "/payment/t-1"), Ok(Route::Lookup));
        assert_eq!(transaction_id("/payment/t-1"), Some("t-1"));
        for path in [
            "/",
            "",
            "/payments",
            "/payment/",
            "/Payment",
            "/health/x",
            "/payment/a/b",
        ] {
            assert_eq!(of("POST", path).unwrap_err().code, Code::NotFound, "{path}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_taken() {
        let taken = |value: &str| content_type(&[value.to_owned()]).is_ok();
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; profile=x",
        ] {
            assert!(taken(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/json",
            "application/json; charset=latin1",
            "application/jsonp",
        ] {
            assert!(!taken(bad), "{bad}");
        }
        assert!(content_type(&[]).is_ok());
    }

    #[test]
    fn two_keys_are_no_key() {
        let keys = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
            single_key(&values)
                .map(|key| key.map(str::to_owned))
                .map_err(|p| p.code)
        };
        assert_eq!(keys(&[]), Ok(None));
        assert_eq!(keys(&["a", "a"]), Ok(Some("a".to_owned())));
        assert_eq!(keys(&["a", "b"]), Err(Code::IdempotencyKeyInvalid));
    }
}
