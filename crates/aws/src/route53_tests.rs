//! The router of weighted records at the wire.

use cutover_domain::switch::{Environment, Order, RouterReading, Seen, Versions, Weights};
use cutover_ports::switch::{Router as _, RouterError};

use crate::replay::{Answer, Replay, transcript};
use crate::route53::{RecordTarget, Route53, Route53Entry};

fn entry() -> Route53Entry {
    Route53Entry {
        hosted_zone_id: "Z1".to_owned(),
        record_name: "pay.example.com".to_owned(),
        record_type: "A".to_owned(),
        blue_set_identifier: "blue".to_owned(),
        green_set_identifier: "green".to_owned(),
        blue_target: None,
        green_target: None,
    }
}

async fn router(answers: Vec<Answer>) -> (Route53, Replay) {
    let replay = Replay::new(answers);
    (Route53::new(&replay.config().await, entry()), replay)
}

fn record(identifier: &str, weight: u32) -> String {
    format!(
        "<ResourceRecordSet><Name>pay.example.com.</Name><Type>A</Type><SetIdentifier>{identifier}</SetIdentifier>\
         <Weight>{weight}</Weight><AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>{identifier}.elb.</DNSName>\
         <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget><HealthCheckId>hc-{identifier}</HealthCheckId>\
         </ResourceRecordSet>"
    )
}

/// A page of the listing, which ends with a record of the next name.
fn listed(records: &[String]) -> Answer {
    let next = "<ResourceRecordSet><Name>www.example.com.</Name><Type>A</Type><TTL>5</TTL></ResourceRecordSet>";
    page(records, next, "<IsTruncated>false</IsTruncated>")
}

fn page(records: &[String], next: &str, end: &str) -> Answer {
    Answer::xml(
        200,
        &format!(
            "<ListResourceRecordSetsResponse><ResourceRecordSets>{}{next}</ResourceRecordSets>{end}\
             <MaxItems>100</MaxItems></ListResourceRecordSetsResponse>",
            records.concat()
        ),
    )
}

fn pair(blue: u32, green: u32) -> Answer {
    listed(&[record("blue", blue), record("green", green)])
}

fn change(status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/C123</Id><Status>{status}</Status>\
         <SubmittedAt>2026-11-20T14:00:00.000Z</SubmittedAt></ChangeInfo>"
    )
}

fn accepted() -> Answer {
    let change = change("PENDING");
    Answer::xml(
        200,
        &format!("<ChangeResourceRecordSetsResponse>{change}</ChangeResourceRecordSetsResponse>"),
    )
}

fn asked(status: &str) -> Answer {
    let change = change(status);
    Answer::xml(
        200,
        &format!("<GetChangeResponse>{change}</GetChangeResponse>"),
    )
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

fn mismatch() -> Answer {
    error(
        400,
        "InvalidChangeBatch",
        "[Tried to delete resource record set but the values provided do not match the current values]",
    )
}

fn green(percent: u8) -> Weights {
    Weights::share(Environment::Green, percent)
}

fn order(weights: Weights) -> Order {
    Order {
        generation: 7,
        base: Environment::Blue,
        weights,
        versions: Versions::default(),
        routers: Vec::new(),
    }
}

fn seen(seen: Seen) -> RouterReading {
    RouterReading {
        router: String::new(),
        seen,
        revision: None,
        marker: None,
        base: None,
        takes_versions: false,
        pending: None,
        needs_change: true,
    }
}

fn split(percent: u8) -> RouterReading {
    seen(Seen::Split(green(percent)))
}

async fn read(router: &Route53, change: Option<&str>) -> RouterReading {
    router.read(&Versions::default(), change).await
}

fn why(error: &RouterError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[tokio::test]
async fn a_step_is_one_batch_that_deletes_exactly_what_was_read() {
    let (router, replay) = router(vec![pair(100, 0), pair(100, 0), accepted()]).await;
    let reading = read(&router, None).await;
    assert_eq!(reading.seen, Seen::Split(green(0)));
    assert_eq!(reading.base, Some(Environment::Blue));
    assert!(reading.needs_change);
    assert_eq!(reading.router, "route53:Z1:pay.example.com:A");
    let id = router.write(&order(green(10)), &reading).await.unwrap();
    assert_eq!(id.as_deref(), Some("C123"));
    let sent = replay.sent();
    assert_eq!(
        sent[0].uri,
        "/2013-04-01/hostedzone/Z1/rrset?name=pay.example.com&type=A&maxitems=100"
    );
    let change = |action: &str, identifier: &str, weight: u32| {
        let record = record(identifier, weight).replace("><", ">\n<");
        // The service takes the fields in any order; this is the SDK's.
        let weight = format!("<Weight>{weight}</Weight>");
        assert!(record.contains(&weight));
        (action.to_owned(), identifier.to_owned(), weight)
    };
    let text = transcript(&sent[2..]);
    let wanted = [
        change("DELETE", "blue", 100),
        change("CREATE", "blue", 180),
        change("DELETE", "green", 0),
        change("CREATE", "green", 20),
    ];
    let changes: Vec<&str> = text.split("<Change>").skip(1).collect();
    assert_eq!(changes.len(), wanted.len());
    for (change, (action, identifier, weight)) in changes.iter().zip(&wanted) {
        for part in [
            format!("<Action>{action}</Action>"),
            format!("<SetIdentifier>{identifier}</SetIdentifier>"),
            weight.clone(),
            "<Name>pay.example.com.</Name>".to_owned(),
            format!("<DNSName>{identifier}.elb.</DNSName>"),
            "<EvaluateTargetHealth>true</EvaluateTargetHealth>".to_owned(),
            format!("<HealthCheckId>hc-{identifier}</HealthCheckId>"),
        ] {
            assert!(change.contains(&part), "{part} in {change}");
        }
    }
}

#[tokio::test]
async fn a_change_is_pending_until_route_53_says_that_it_is_in_sync() {
    for (answer, told) in [
        (asked("INSYNC"), None),
        (asked("PENDING"), Some("Route 53 change C123 is PENDING")),
        (
            error(404, "NoSuchChange", "gone"),
            Some("not known to be in effect"),
        ),
        (error(403, "AccessDenied", "no"), Some("role")),
    ] {
        let (router, replay) = router(vec![pair(90, 10), answer]).await;
        let pending = read(&router, Some("C123")).await.pending;
        match told {
            None => assert_eq!(pending, None),
            Some(told) => assert!(pending.as_ref().unwrap().contains(told), "{pending:?}"),
        }
        assert_eq!(replay.sent()[1].uri, "/2013-04-01/change/C123");
    }
}

#[tokio::test]
async fn a_lost_compare_and_swap_changes_nothing() {
    let (router, _) = router(vec![pair(90, 10)]).await;
    let early = router
        .write(&order(green(25)), &split(0))
        .await
        .unwrap_err();
    assert!(matches!(early, RouterError::Changed { .. }), "{early}");
    let answers = vec![pair(90, 10), mismatch(), pair(100, 0)];
    let (router, replay) = self::router(answers).await;
    let late = router
        .write(&order(green(25)), &split(10))
        .await
        .unwrap_err();
    assert!(matches!(late, RouterError::Changed { .. }), "{late}");
    assert_eq!(replay.sent().len(), 3);
}

/// The documented form of the refusal has no code: whether the records have changed says what it means.
#[tokio::test]
async fn a_refusal_without_a_code_is_understood() {
    let refused = || {
        Answer::xml(
            400,
            "<InvalidChangeBatch><Messages><Message>Tried to create record that exists</Message></Messages>\
             </InvalidChangeBatch>",
        )
    };
    let (router, _) = router(vec![pair(90, 10), refused(), pair(100, 0)]).await;
    let error = router
        .write(&order(green(25)), &split(10))
        .await
        .unwrap_err();
    assert!(matches!(error, RouterError::Changed { .. }), "{error}");
    let (router, _) = self::router(vec![pair(90, 10), refused(), pair(90, 10)]).await;
    let error = router
        .write(&order(green(25)), &split(10))
        .await
        .unwrap_err();
    assert_eq!(
        why(&error),
        "InvalidChangeBatch: Tried to create record that exists"
    );
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_again_for_its_change_id() {
    let done = || listed(&[record("blue", 150), record("green", 50)]);
    let broken = || error(500, "InternalError", "try later");
    for unclear in [
        vec![Answer::Lost, mismatch()],
        vec![broken(), broken(), broken()],
        vec![Answer::Lost, Answer::Lost, Answer::Lost],
    ] {
        let mut answers = vec![pair(90, 10)];
        answers.extend(unclear);
        answers.extend([done(), accepted()]);
        let (router, replay) = router(answers).await;
        let id = router.write(&order(green(25)), &split(10)).await.unwrap();
        assert_eq!(id.as_deref(), Some("C123"));
        let last = replay.sent().pop().unwrap().text();
        assert!(
            last.contains("<Weight>150</Weight>") && last.contains("<Weight>75</Weight>"),
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_write_that_never_arrives_is_given_up() {
    let lost = || vec![Answer::Lost, Answer::Lost, Answer::Lost];
    let mut answers = vec![pair(90, 10)];
    answers.extend(lost());
    answers.push(pair(90, 10));
    answers.extend(lost());
    answers.push(pair(90, 10));
    let (router, _) = router(answers).await;
    let error = router
        .write(&order(green(25)), &split(10))
        .await
        .unwrap_err();
    assert_eq!(why(&error), "no connection");
}

#[tokio::test]
async fn a_busy_zone_is_waited_for_within_bounds() {
    let busy = || error(400, "PriorRequestNotComplete", "busy");
    let throttled = error(400, "Throttling", "Rate exceeded");
    let answers = vec![pair(90, 10), busy(), throttled, accepted()];
    let (router, _) = router(answers).await;
    assert!(router.write(&order(green(25)), &split(10)).await.is_ok());
    let (router, _) = self::router(vec![pair(90, 10), busy(), busy(), busy()]).await;
    let error = router
        .write(&order(green(25)), &split(10))
        .await
        .unwrap_err();
    assert!(why(&error).contains("throttled"), "{}", why(&error));
}

#[tokio::test]
async fn failures_say_what_an_operator_can_do() {
    for (answer, told) in [
        (error(403, "AccessDenied", "no"), "role"),
        (error(404, "NoSuchHostedZone", "none"), "does not exist"),
        (error(400, "InvalidInput", "bad"), "InvalidInput: bad"),
    ] {
        let (router, _) = router(vec![pair(90, 10), answer]).await;
        let error = router
            .write(&order(green(25)), &split(10))
            .await
            .unwrap_err();
        assert!(why(&error).contains(told), "{}", why(&error));
    }
    let (router, _) = router(vec![error(404, "NoSuchHostedZone", "none")]).await;
    let reading = read(&router, None).await.seen;
    assert!(
        matches!(&reading, Seen::Unreadable(why) if why.contains("does not exist")),
        "{reading:?}"
    );
}

#[tokio::test]
async fn records_are_made_only_from_targets() {
    let (bare, _) = router(vec![listed(&[]), listed(&[])]).await;
    let absent = read(&bare, None).await;
    assert_eq!(absent.seen, Seen::Absent);
    let error = bare.write(&order(green(0)), &absent).await.unwrap_err();
    assert!(why(&error).contains("blueTarget"), "{}", why(&error));

    let target = |values: &str| {
        Some(RecordTarget::Values {
            values: vec![values.to_owned()],
            ttl_seconds: 30,
        })
    };
    let replay = Replay::new(vec![listed(&[]), accepted()]);
    let entry = Route53Entry {
        blue_target: target("192.0.2.1"),
        green_target: target("192.0.2.2"),
        ..entry()
    };
    let router = Route53::new(&replay.config().await, entry);
    assert!(router.write(&order(green(0)), &absent).await.is_ok());
    let text = replay.sent()[1].text();
    assert!(!text.contains("DELETE"), "{text}");
    for part in [
        "<Value>192.0.2.1</Value>",
        "<TTL>30</TTL>",
        "<Weight>100</Weight>",
        "<Weight>0</Weight>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn removal_deletes_what_is_there_and_nothing_else() {
    let (router, replay) = router(vec![
        listed(&[record("blue", 1), record("old", 0)]),
        accepted(),
    ])
    .await;
    router.remove().await.unwrap();
    let text = replay.sent()[1].text();
    assert_eq!(text.matches("<Action>").count(), 1);
    assert!(
        text.contains("<Action>DELETE</Action>") && text.contains("hc-blue"),
        "{text}"
    );
    let (router, replay) = self::router(vec![listed(&[])]).await;
    router.remove().await.unwrap();
    assert_eq!(replay.sent().len(), 1);
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_to_its_end_or_not_at_all() {
    let more = "<IsTruncated>true</IsTruncated><NextRecordName>pay.example.com.</NextRecordName>\
                <NextRecordType>A</NextRecordType><NextRecordIdentifier>green</NextRecordIdentifier>";
    let first = page(&[record("blue", 90)], "", more);
    let (router, replay) = router(vec![first, listed(&[record("green", 10)])]).await;
    assert_eq!(read(&router, None).await.seen, Seen::Split(green(10)));
    assert!(replay.sent()[1].uri.contains("identifier=green"));
    assert_eq!(
        router.effect_seconds(),
        120,
        "propagation, and the 60 seconds of an alias"
    );
    let endless = (0..10).map(|_| page(&[record("blue", 90)], "", more));
    let (router, _) = self::router(endless.collect()).await;
    assert!(matches!(
        read(&router, None).await.seen,
        Seen::Unreadable(_)
    ));
}
