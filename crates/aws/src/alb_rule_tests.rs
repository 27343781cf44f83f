//! The switch's own rule at the wire.

use cutover_domain::switch::{Environment, RouterReading, Seen};
use cutover_ports::switch::{Router as _, RouterError};

use crate::alb::{Alb, AlbEntry, OwnRule};
use crate::alb_tests::{BLUE, GREEN, LISTENER, RULE, error, green, modified, order, read, router};
use crate::replay::{Answer, Replay, transcript};

const ALL: &str = "<member><Field>path-pattern</Field><Values><member>/*</member></Values>\
    <PathPatternConfig><Values><member>/*</member></Values></PathPatternConfig></member>";
const OTHER: &str =
    "<member><Field>path-pattern</Field><Values><member>/admin</member></Values></member>";

async fn own(answers: Vec<Answer>) -> (Alb, Replay) {
    let rule = OwnRule {
        listener: LISTENER.to_owned(),
        priority: 100,
        path_patterns: vec!["/*".to_owned()],
        host_headers: Vec::new(),
    };
    router(AlbEntry::Own(rule), answers).await
}

fn forward(groups: &[(&str, u32)]) -> String {
    let member = |(arn, weight): &(&str, u32)| {
        format!("<member><TargetGroupArn>{arn}</TargetGroupArn><Weight>{weight}</Weight></member>")
    };
    let members: String = groups.iter().map(member).collect();
    format!(
        "<member><Type>forward</Type><Order>1</Order><ForwardConfig><TargetGroups>{members}</TargetGroups>\
         </ForwardConfig></member>"
    )
}

fn rule(priority: &str, conditions: &str, actions: &str) -> String {
    let arn = if priority == "100" { RULE } else { "arn:other" };
    format!(
        "<member><RuleArn>{arn}</RuleArn><Priority>{priority}</Priority><Conditions>{conditions}</Conditions>\
         <Actions>{actions}</Actions></member>"
    )
}

fn page(rules: &str, marker: &str) -> Answer {
    let marker = match marker {
        "" => String::new(),
        marker => format!("<NextMarker>{marker}</NextMarker>"),
    };
    Answer::xml(
        200,
        &format!(
            "<DescribeRulesResponse><DescribeRulesResult><Rules>{rules}</Rules>{marker}</DescribeRulesResult>\
             </DescribeRulesResponse>"
        ),
    )
}

fn split(blue: u32, green: u32) -> Answer {
    let forward = forward(&[(GREEN, green), (BLUE, blue)]);
    page(&rule("100", ALL, &forward), "")
}

fn none() -> Answer {
    page(&rule("default", "", &forward(&[])), "")
}

fn tagged(pairs: &[(&str, &str)]) -> Answer {
    let member = |(key, value): &(&str, &str)| {
        format!("<member><Key>{key}</Key><Value>{value}</Value></member>")
    };
    let tags: String = pairs.iter().map(member).collect();
    Answer::xml(
        200,
        &format!(
            "<DescribeTagsResponse><DescribeTagsResult><TagDescriptions><member><ResourceArn>{RULE}</ResourceArn>\
             <Tags>{tags}</Tags></member></TagDescriptions></DescribeTagsResult></DescribeTagsResponse>"
        ),
    )
}

fn created() -> Answer {
    let body =
        "<CreateRuleResponse><CreateRuleResult><Rules/></CreateRuleResult></CreateRuleResponse>";
    Answer::xml(200, body)
}

fn deleted() -> Answer {
    Answer::xml(
        200,
        "<DeleteRuleResponse><DeleteRuleResult/></DeleteRuleResponse>",
    )
}

fn why(error: &RouterError) -> String {
    let source = std::error::Error::source(error);
    format!(
        "{error}: {}",
        source.map(ToString::to_string).unwrap_or_default()
    )
}

#[tokio::test]
async fn a_rule_that_is_not_there_is_made_with_the_order_and_read_back() {
    let (router, replay) = own(vec![none(), none(), created(), split(100, 0)]).await;
    let reading = read(&router).await;
    assert_eq!(reading.seen, Seen::Absent);
    assert_eq!(
        reading.router,
        "alb:listener/app/pay/50dc/f2f7/priority-100"
    );
    assert_eq!(
        router.write(&order(green(0)), &reading).await.unwrap(),
        None
    );
    let back = read(&router).await;
    assert_eq!(
        (back.seen, back.base),
        (Seen::Split(green(0)), Some(Environment::Blue))
    );
    let sent = replay.sent();
    assert_eq!(
        sent[0].form(),
        [format!("ListenerArn={LISTENER}"), "PageSize=100".to_owned()]
    );
    assert_eq!(
        transcript(&sent[2..3]),
        format!(
            "POST /\nListenerArn={LISTENER}\n\
             Conditions.member.1.Field=path-pattern\n\
             Conditions.member.1.PathPatternConfig.Values.member.1=/*\n\
             Priority=100\n\
             Actions.member.1.Type=forward\n\
             Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={BLUE}\n\
             Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=100\n\
             Actions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn={GREEN}\n\
             Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight=0\n\
             Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=false\n\
             Tags.member.1.Key=ManagedBy\nTags.member.1.Value=environment-switcher\n\
             Tags.member.2.Key=Environment\nTags.member.2.Value=prod\n"
        )
    );
}

/// The answer to CreateRule is lost, or another invocation was faster: the next look finds the rule, whatever it says.
#[tokio::test]
async fn a_rule_that_was_made_meanwhile_is_found_and_finished() {
    let answers = vec![
        none(),
        none(),
        Answer::Lost,
        error(400, "PriorityInUse"),
        split(100, 0),
        split(100, 0),
        modified(),
    ];
    let (router, replay) = own(answers).await;
    let reading = read(&router).await;
    let raced = router.write(&order(green(10)), &reading).await.unwrap_err();
    assert!(matches!(raced, RouterError::Changed { .. }), "{raced}");
    let reading = read(&router).await;
    assert_eq!(reading.seen, Seen::Split(green(0)));
    router.write(&order(green(10)), &reading).await.unwrap();
    let form = replay.sent()[6].form();
    assert_eq!(form[0], format!("RuleArn={RULE}"));
    assert!(
        !form.iter().any(|line| line.starts_with("Conditions")),
        "{form:?}"
    );
    // And one that is made or removed between the look and the write is left alone.
    for (now, expected) in [
        (split(100, 0), Seen::Absent),
        (none(), Seen::Split(green(0))),
    ] {
        let (router, _) = own(vec![now]).await;
        let expected = RouterReading {
            seen: expected,
            ..reading.clone()
        };
        let raced = router
            .write(&order(green(10)), &expected)
            .await
            .unwrap_err();
        assert!(matches!(raced, RouterError::Changed { .. }), "{raced}");
    }
}

#[tokio::test]
async fn the_rule_is_looked_for_on_every_page() {
    let other = rule("1", OTHER, &forward(&[(BLUE, 1)]));
    let (router, replay) = own(vec![page(&other, "next"), split(75, 25)]).await;
    assert_eq!(read(&router).await.seen, Seen::Split(green(25)));
    assert!(replay.sent()[1].form().contains(&"Marker=next".to_owned()));
    let endless = (0..10).map(|_| page("", "next")).collect();
    let (router, _) = own(endless).await;
    let Seen::Unreadable(why) = read(&router).await.seen else {
        panic!("it was read");
    };
    assert!(why.contains("more than 10 pages"), "{why}");
}

#[tokio::test]
async fn a_rule_of_another_is_never_written_nor_removed() {
    let both = forward(&[(BLUE, 100), (GREEN, 0)]);
    let others = [
        ("ManagedBy", "environment-switcher"),
        ("Environment", "dev"),
    ];
    for (conditions, actions, told) in [
        (OTHER, both.as_str(), "it is for path-pattern /admin"),
        (
            ALL,
            &forward(&[(BLUE, 1)]),
            "it does not forward to both target groups",
        ),
        (
            ALL,
            &forward(&[("arn:old", 1)]),
            "it does not forward to both",
        ),
    ] {
        let looked = || [page(&rule("100", conditions, actions), ""), tagged(&others)];
        let answers = [looked(), looked(), looked()].into_iter().flatten();
        let (router, replay) = own(answers.collect()).await;
        let reading = read(&router).await;
        let Seen::Unreadable(said) = &reading.seen else {
            panic!("{:?}", reading.seen);
        };
        assert!(
            said.contains("not this switch's") && said.contains(told),
            "{said}"
        );
        assert!(said.contains("name another priority"), "{said}");
        let refused = router.write(&order(green(0)), &reading).await.unwrap_err();
        assert!(why(&refused).contains(told), "{refused}");
        router.remove().await.unwrap();
        assert_eq!(replay.sent().len(), 6, "nothing but looks");
    }
    let (router, _) = own(vec![
        page(&rule("100", OTHER, &both), ""),
        error(403, "AccessDenied"),
    ])
    .await;
    let Seen::Unreadable(said) = read(&router).await.seen else {
        panic!("it was read");
    };
    assert!(said.starts_with("DescribeTags: AccessDenied"), "{said}");
}

/// Someone changed what it is for, or where it leads: that is drift, and a rollback takes it back.
#[tokio::test]
async fn the_own_rule_is_known_by_its_tags_after_others_changed_it() {
    let mine = || {
        tagged(&[
            ("Environment", "prod"),
            ("ManagedBy", "environment-switcher"),
        ])
    };
    let narrowed = || page(&rule("100", OTHER, &forward(&[(BLUE, 1), (GREEN, 0)])), "");
    let (router, replay) = own(vec![narrowed(), mine(), narrowed(), mine(), modified()]).await;
    let reading = read(&router).await;
    let drift = Seen::Foreign("the rule is for path-pattern /admin".to_owned());
    assert_eq!(reading.seen, drift);
    router.write(&order(green(0)), &reading).await.unwrap();
    let form = replay.sent()[4].form();
    assert!(
        form.contains(&"Conditions.member.1.PathPatternConfig.Values.member.1=/*".to_owned()),
        "{form:?}"
    );
    let led_away = page(&rule("100", ALL, &forward(&[("arn:old", 1)])), "");
    let (router, _) = own(vec![led_away, mine()]).await;
    let drift = Seen::Foreign("target group arn:old with weight 1".to_owned());
    assert_eq!(read(&router).await.seen, drift);
}

#[tokio::test]
async fn delete_removes_the_own_rule_once() {
    let (router, replay) = own(vec![split(0, 100), deleted()]).await;
    router.remove().await.unwrap();
    assert_eq!(replay.sent()[1].form(), [format!("RuleArn={RULE}")]);
    for answers in [
        vec![none()],
        vec![error(400, "ListenerNotFound")],
        vec![split(100, 0), error(400, "RuleNotFound")],
    ] {
        let (router, _) = own(answers).await;
        router.remove().await.unwrap();
    }
    for (answers, told) in [
        (vec![error(403, "AccessDenied")], "DescribeRules"),
        (
            vec![split(100, 0), error(403, "AccessDenied")],
            "DeleteRule",
        ),
    ] {
        let (router, _) = own(answers).await;
        let failed = router.remove().await.unwrap_err();
        assert!(why(&failed).contains(told), "{failed}");
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_made_says_why() {
    for (answer, told) in [
        (error(400, "ListenerNotFound"), "does not exist"),
        (error(403, "AccessDenied"), "role"),
        (
            error(400, "TargetGroupAssociationLimit"),
            "TargetGroupAssociationLimit: told why",
        ),
    ] {
        let (router, _) = own(vec![none(), none(), answer]).await;
        let reading = read(&router).await;
        let failed = router.write(&order(green(0)), &reading).await.unwrap_err();
        let why = why(&failed);
        assert!(why.contains("CreateRule") && why.contains(told), "{why}");
    }
}
