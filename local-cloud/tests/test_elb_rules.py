"""What is decided without I/O: choice by weight and cookie, events and answers of functions, health transitions."""

from __future__ import annotations

import time

import pytest

from cutover_cloud.elb import actions, health, lambda_target, routing
from cutover_cloud.elb.targets import HEALTHY, INITIAL, UNHEALTHY, Watch


def group(arn: str, weight: int) -> dict[str, object]:
    """A weighted group."""
    return {"TargetGroupArn": arn, "Weight": weight}


def test_draw_divides_the_total_weight() -> None:
    groups = [group("blue", 750), group("green", 250)]
    drawn = [routing.draw(groups, point / 1000) for point in range(1000)]
    assert drawn.count("blue") == 750 and drawn.count("green") == 250
    assert {routing.draw([group("blue", 0), group("green", 1)], point / 10) for point in range(10)} == {"green"}
    assert routing.draw([group("blue", 0), group("green", 0)], 0.5) is None


def test_cookie_holds_until_its_time_or_its_group_is_gone() -> None:
    groups = [group("blue", 0), group("green", 100)]
    header = "; ".join(cookie.split(";")[0] for cookie in routing.cookies("blue", 60))
    assert routing.sticky(groups, f"a=b; {header}", time.time()) == "blue"
    assert routing.sticky(groups, header, time.time() + 61) is None
    assert routing.sticky(groups[1:], header, time.time()) is None
    assert routing.sticky(groups, "AWSALBTG=forged-9999999999; AWSALBTG", time.time()) is None


def test_cookies_join_those_of_the_target() -> None:
    status, headers, body = routing.with_cookies((200, {"set-cookie": "own=1"}, b""), ["added=2"])
    assert (status, headers, body) == (200, {"set-cookie": ["own=1", "added=2"]}, b"")


def test_forward_config_is_checked() -> None:
    forward = {"Type": "forward", "Order": 1}
    one = actions.normal(forward | {"TargetGroupArn": "a"}, None)
    assert one["ForwardConfig"]["TargetGroups"] == [group("a", 1)] and one["TargetGroupArn"] == "a"
    two = {"TargetGroups": [group("a", 1), group("b", 2)]}
    assert "TargetGroupArn" not in actions.normal(forward, two)
    with pytest.raises(actions.Refused, match="both"):
        actions.normal(forward | {"TargetGroupArn": "a"}, two)
    with pytest.raises(actions.Refused, match="integer"):
        actions.normal(forward, {"TargetGroups": [group("a", 1) | {"Weight": "1.5"}]})
    for seconds in (None, 0, 604801):
        sticky = {"TargetGroupStickinessConfig": {"Enabled": "true", "DurationSeconds": seconds}}
        with pytest.raises(actions.Refused, match="between '1' and '604800'"):
            actions.normal(forward, two | sticky)


def test_event_has_single_or_multiple_values_never_both() -> None:
    headers = {"Content-Type": "application/json", "X-A": "1"}
    single = lambda_target.event("arn", "post", "/p", headers, b"{}", "a=1&a=2&b=%20", several=False)
    assert single["queryStringParameters"] == {"a": "2", "b": "%20"} and single["headers"]["x-a"] == "1"
    assert not {"multiValueHeaders", "multiValueQueryStringParameters"} & set(single)
    several = lambda_target.event("arn", "post", "/p", headers, b"{}", "a=1&a=2", several=True)
    assert several["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    assert several["multiValueHeaders"]["x-a"] == ["1"] and not {"headers", "queryStringParameters"} & set(several)
    assert (single["body"], single["isBase64Encoded"], single["httpMethod"]) == ("{}", False, "POST")
    binary = lambda_target.event("arn", "POST", "/", {"content-type": "image/png"}, b"ab", "", several=False)
    assert (binary["body"], binary["isBase64Encoded"]) == ("YWI=", True)


def test_answers_that_are_none() -> None:
    for bad in (None, "text", {"body": "x"}, {"statusCode": "200"}, {"statusCode": 200, "body": {"a": 1}},
                {"statusCode": 200, "body": "!", "isBase64Encoded": True},
                {"statusCode": 200, "body": "x" * (lambda_target.BODY_BYTES_MAX + 1)}):
        with pytest.raises(lambda_target.BadAnswer):
            lambda_target.response(bad, several=False)
    answer = {"statusCode": 201, "headers": {"a": "1"}, "multiValueHeaders": {"b": ["2", "3"]}, "body": "x"}
    assert lambda_target.response(answer, several=False) == (201, {"a": "1"}, b"x")
    assert lambda_target.response(answer, several=True) == (201, {"b": ["2", "3"]}, b"x")


def test_health_changes_after_its_thresholds() -> None:
    watch = Watch()
    watch.take("Target.Timeout", "", 3, 2)
    assert (watch.state, watch.reason) == (INITIAL, "Elb.InitialHealthChecking")
    watch.take(None, "", 3, 2)
    assert watch.state == HEALTHY
    watch.take("Target.Timeout", "", 3, 2)
    assert watch.state == HEALTHY
    watch.take("Target.Timeout", "", 3, 2)
    assert (watch.state, watch.reason) == (UNHEALTHY, "Target.Timeout")
    for _ in range(2):
        watch.take(None, "", 3, 2)
        assert watch.state == UNHEALTHY
    watch.take(None, "", 3, 2)
    assert watch.state == HEALTHY


def test_matcher_takes_lists_and_ranges() -> None:
    assert health.matches(200, "200") and health.matches(204, "200-299") and health.matches(202, "200,202")
    assert not health.matches(500, "200-299") and not health.matches(200, "")
