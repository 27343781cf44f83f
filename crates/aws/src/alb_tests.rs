//! The load balancer's router at the wire.

use cutover_domain::switch::{Capacity, CapacityReading};
use cutover_domain::switch::{Environment, Order, RouterReading, Seen, Versions, Weights};
use cutover_ports::switch::{Router as _, RouterError};

use crate::alb::{Alb, AlbEntry};
use crate::replay::{Answer, Replay, transcript};

pub(crate) const RULE: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/pay/50dc/f2f7/9683";
pub(crate) const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/pay/50dc/f2f7";
pub(crate) const BLUE: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/blue/73e2";
pub(crate) const GREEN: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/green/09d3";

pub(crate) async fn router(entry: AlbEntry, answers: Vec<Answer>) -> (Alb, Replay) {
    let replay = Replay::new(answers);
    let sdk = replay.config().await;
    (
        Alb::new(&sdk, entry, BLUE.to_owned(), GREEN.to_owned(), "prod"),
        replay,
    )
}

async fn rule(answers: Vec<Answer>) -> (Alb, Replay) {
    router(AlbEntry::Rule(RULE.to_owned()), answers).await
}

/// A forward with an authentication before it, as the service describes it.
fn actions(blue: u32, green: u32, sticky: bool) -> String {
    format!(
        "<member><Type>authenticate-oidc</Type><Order>1</Order><AuthenticateOidcConfig>\
         <Issuer>https://id.example.com</Issuer><AuthorizationEndpoint>https://id.example.com/a</AuthorizationEndpoint>\
         <TokenEndpoint>https://id.example.com/t</TokenEndpoint><UserInfoEndpoint>https://id.example.com/u</UserInfoEndpoint>\
         <ClientId>pay</ClientId></AuthenticateOidcConfig></member>\
         <member><Type>forward</Type><Order>2</Order><ForwardConfig><TargetGroups>\
         <member><TargetGroupArn>{BLUE}</TargetGroupArn><Weight>{blue}</Weight></member>\
         <member><TargetGroupArn>{GREEN}</TargetGroupArn><Weight>{green}</Weight></member></TargetGroups>\
         <TargetGroupStickinessConfig><Enabled>{sticky}</Enabled><DurationSeconds>60</DurationSeconds>\
         </TargetGroupStickinessConfig></ForwardConfig></member>"
    )
}

fn rules(actions: &str) -> Answer {
    Answer::xml(
        200,
        &format!(
            "<DescribeRulesResponse><DescribeRulesResult><Rules><member><RuleArn>{RULE}</RuleArn>\
             <Actions>{actions}</Actions></member></Rules></DescribeRulesResult></DescribeRulesResponse>"
        ),
    )
}

fn listeners(actions: &str) -> Answer {
    Answer::xml(
        200,
        &format!(
            "<DescribeListenersResponse><DescribeListenersResult><Listeners><member>\
             <ListenerArn>{LISTENER}</ListenerArn><DefaultActions>{actions}</DefaultActions></member></Listeners>\
             </DescribeListenersResult></DescribeListenersResponse>"
        ),
    )
}

pub(crate) fn modified() -> Answer {
    Answer::xml(
        200,
        "<ModifyRuleResponse><ModifyRuleResult><Rules/></ModifyRuleResult></ModifyRuleResponse>",
    )
}

fn listener_modified() -> Answer {
    let body = "<ModifyListenerResponse><ModifyListenerResult><Listeners/></ModifyListenerResult></ModifyListenerResponse>";
    Answer::xml(200, body)
}

pub(crate) fn error(status: u16, code: &str) -> Answer {
    Answer::xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>told why</Message></Error>\
             <RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

pub(crate) fn green(percent: u8) -> Weights {
    Weights::share(Environment::Green, percent)
}

pub(crate) fn order(weights: Weights) -> Order {
    Order {
        generation: 7,
        base: Environment::Blue,
        weights,
        versions: Versions::default(),
        routers: Vec::new(),
    }
}

pub(crate) async fn read(router: &Alb) -> RouterReading {
    router.read(&Versions::default(), None).await
}

pub(crate) fn seen(weights: Weights) -> RouterReading {
    RouterReading {
        router: String::new(),
        seen: Seen::Split(weights),
        revision: None,
        marker: None,
        base: None,
        takes_versions: false,
        pending: None,
        needs_change: false,
    }
}

#[tokio::test]
async fn a_step_keeps_everything_but_the_weights() {
    let answers = vec![
        rules(&actions(100, 0, false)),
        rules(&actions(100, 0, false)),
        modified(),
    ];
    let (router, replay) = rule(answers).await;
    let reading = read(&router).await;
    assert_eq!(reading.seen, Seen::Split(green(0)));
    assert_eq!(reading.base, Some(Environment::Blue));
    assert_eq!(reading.router, "alb:listener-rule/app/pay/50dc/f2f7/9683");
    assert_eq!(
        router.write(&order(green(10)), &reading).await.unwrap(),
        None
    );
    let sent = replay.sent();
    assert_eq!(sent[0].form(), [format!("RuleArns.member.1={RULE}")]);
    assert_eq!(
        transcript(&sent[2..]),
        format!(
            "POST /\nRuleArn={RULE}\n\
             Actions.member.1.Type=authenticate-oidc\n\
             Actions.member.1.AuthenticateOidcConfig.Issuer=https://id.example.com\n\
             Actions.member.1.AuthenticateOidcConfig.AuthorizationEndpoint=https://id.example.com/a\n\
             Actions.member.1.AuthenticateOidcConfig.TokenEndpoint=https://id.example.com/t\n\
             Actions.member.1.AuthenticateOidcConfig.UserInfoEndpoint=https://id.example.com/u\n\
             Actions.member.1.AuthenticateOidcConfig.ClientId=pay\n\
             Actions.member.1.AuthenticateOidcConfig.UseExistingClientSecret=true\n\
             Actions.member.1.Order=1\n\
             Actions.member.2.Type=forward\n\
             Actions.member.2.Order=2\n\
             Actions.member.2.ForwardConfig.TargetGroups.member.1.TargetGroupArn={BLUE}\n\
             Actions.member.2.ForwardConfig.TargetGroups.member.1.Weight=90\n\
             Actions.member.2.ForwardConfig.TargetGroups.member.2.TargetGroupArn={GREEN}\n\
             Actions.member.2.ForwardConfig.TargetGroups.member.2.Weight=10\n\
             Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.Enabled=false\n\
             Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=60\n"
        )
    );
}

#[tokio::test]
async fn a_rollback_lets_go_of_clients_that_are_held_on_the_candidate() {
    let answers = vec![listeners(&actions(75, 25, true)), listener_modified()];
    let (router, replay) = router(AlbEntry::Listener(LISTENER.to_owned()), answers).await;
    assert!(
        router
            .write(&order(green(0)), &seen(green(25)))
            .await
            .is_ok()
    );
    let form = replay.sent()[1].form();
    let told = |field: &str| form.iter().any(|line| line.ends_with(field));
    assert!(
        told("TargetGroups.member.1.Weight=100") && told("TargetGroups.member.2.Weight=0"),
        "{form:?}"
    );
    assert!(
        told("TargetGroupStickinessConfig.Enabled=false"),
        "{form:?}"
    );
    assert!(
        form[0] == format!("ListenerArn={LISTENER}") && form[1].starts_with("DefaultActions."),
        "{form:?}"
    );
}

#[tokio::test]
async fn a_rule_that_was_changed_meanwhile_is_left_alone() {
    let (router, _) = rule(vec![rules(&actions(100, 0, false))]).await;
    let refused = router
        .write(&order(green(50)), &seen(green(10)))
        .await
        .unwrap_err();
    assert!(matches!(refused, RouterError::Changed { .. }), "{refused}");
}

#[tokio::test]
async fn throttling_is_waited_out_within_bounds() {
    let throttled = || error(400, "Throttling");
    let answers = vec![
        throttled(),
        rules(&actions(100, 0, false)),
        throttled(),
        throttled(),
        modified(),
    ];
    let (router, replay) = rule(answers).await;
    assert!(
        router
            .write(&order(green(10)), &seen(green(0)))
            .await
            .is_ok()
    );
    assert_eq!(replay.sent().len(), 5);
    let (router, _) = rule(vec![throttled(), throttled(), throttled()]).await;
    let Seen::Unreadable(why) = read(&router).await.seen else {
        panic!("it was read");
    };
    assert!(
        why.starts_with("DescribeRules: Throttling") && why.contains("next one tries again"),
        "{why}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_absent_and_not_made() {
    let (router, _) = rule(vec![error(400, "RuleNotFound"), error(400, "RuleNotFound")]).await;
    let reading = read(&router).await;
    assert_eq!(reading.seen, Seen::Absent);
    let refused = router.write(&order(green(0)), &reading).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("the stack declares it"), "{why}");
    let entry = AlbEntry::Listener(LISTENER.to_owned());
    let (router, _) = self::router(entry, vec![error(400, "ListenerNotFound")]).await;
    assert_eq!(read(&router).await.seen, Seen::Absent);
}

#[tokio::test]
async fn another_target_group_with_traffic_is_foreign() {
    let other = actions(50, 50, false).replace(GREEN, "arn:old");
    let (router, _) = rule(vec![rules(&other)]).await;
    let reading = read(&router).await;
    let foreign = Seen::Foreign("target group arn:old with weight 50".to_owned());
    assert_eq!(reading.seen, foreign);
}

#[tokio::test]
async fn every_failure_says_what_an_operator_can_do() {
    for (answer, told) in [
        (error(403, "AccessDenied"), "role"),
        (error(400, "TargetGroupNotFound"), "does not exist"),
        (error(400, "ValidationError"), "ValidationError: told why"),
        (error(400, "TooManyTargets"), "TooManyTargets: told why"),
    ] {
        let (router, _) = rule(vec![rules(&actions(100, 0, false)), answer]).await;
        let error = router
            .write(&order(green(10)), &seen(green(0)))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ModifyRule"), "{error}");
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(told), "{why}");
    }
    let (router, _) = rule(vec![Answer::Lost, Answer::Lost, Answer::Lost]).await;
    let reading = read(&router).await;
    assert_eq!(
        reading.seen,
        Seen::Unreadable("DescribeRules: no connection".to_owned())
    );
}

async fn capacity(answer: Answer) -> CapacityReading {
    let (router, replay) = rule(vec![answer]).await;
    let reading = router
        .capacity(Environment::Green, &Versions::default())
        .await;
    assert!(replay.sent()[0].text().contains("green"));
    reading
}

#[tokio::test]
async fn the_health_of_the_targets_is_the_capacity() {
    let targets = |targets: &[(&str, &str)]| {
        let member = |(state, reason): &(&str, &str)| {
            let reason = match *reason {
                "" => String::new(),
                reason => format!("<Reason>{reason}</Reason>"),
            };
            format!("<member><TargetHealth><State>{state}</State>{reason}</TargetHealth></member>")
        };
        let members: Vec<String> = targets.iter().map(member).collect();
        let members = members.concat();
        Answer::xml(
            200,
            &format!(
                "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>{members}\
                 </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"
            ),
        )
    };
    let sick = ("unhealthy", "Target.Timeout");
    for (answer, state, detail) in [
        (
            targets(&[("healthy", ""), sick]),
            Capacity::Ready,
            "1 of 2 targets healthy",
        ),
        (
            targets(&[sick, sick]),
            Capacity::Short,
            "0 of 2 targets healthy: Target.Timeout",
        ),
        (targets(&[]), Capacity::Short, "0 of 0 targets healthy: "),
        (
            targets(&[("initial", "Elb.InitialHealthChecking")]),
            Capacity::Short,
            "0 of 1 targets healthy: Elb.InitialHealthChecking",
        ),
        (
            targets(&[("unavailable", "Target.HealthCheckDisabled")]),
            Capacity::NotApplicable,
            "the target group has no health check",
        ),
        (
            targets(&[("draining", "Target.DeregistrationInProgress")]),
            Capacity::Short,
            "0 of 1 targets healthy: Target.DeregistrationInProgress",
        ),
        (
            targets(&[("unused", "Target.NotInUse")]),
            Capacity::Unknown,
            "no action of a load balancer names the target group, so its targets are not checked",
        ),
        (
            error(400, "TargetGroupNotFound"),
            Capacity::Unknown,
            "DescribeTargetHealth: TargetGroupNotFound: told why (what the configuration names does not exist in this account and region)",
        ),
    ] {
        let reading = capacity(answer).await;
        assert_eq!((reading.state, reading.detail.as_str()), (state, detail));
    }
}
