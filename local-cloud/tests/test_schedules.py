"""Scheduled rules, with ticks of a second."""

from __future__ import annotations

import json

from cloud import Cloud, eventually


def test_minute_schedule_ticks_at_the_alias(cloud: Cloud) -> None:
    blue, _green = cloud.colors("ticked")
    alias = cloud.client("lambda").create_alias(FunctionName="ticked", Name="live", FunctionVersion=blue)["AliasArn"]
    events = cloud.client("events")
    rule = events.put_rule(Name="tick", ScheduleExpression="rate(1 minute)")["RuleArn"]
    events.put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": alias}])
    eventually(lambda: cloud.log("ticked").count("EVENT ") >= 3, 6)
    event = json.loads(cloud.log("ticked").splitlines()[0][6:])
    assert event["source"] == "aws.events" and event["detail-type"] == "Scheduled Event"
    assert event["resources"] == [rule] and event["detail"] == {}
    events.disable_rule(Name="tick")


def test_longer_schedules_keep_their_time(cloud: Cloud) -> None:
    arn = cloud.function("hourly")
    events = cloud.client("events")
    events.put_rule(Name="hourly", ScheduleExpression="rate(2 minutes)")
    events.put_targets(Rule="hourly", Targets=[{"Id": "1", "Arn": arn}])
    blue = cloud.function("ticks")
    events.put_rule(Name="ticks", ScheduleExpression="cron(* * * * ? *)")
    events.put_targets(Rule="ticks", Targets=[{"Id": "1", "Arn": blue}])
    eventually(lambda: cloud.log("ticks").count("EVENT ") >= 3, 6)
    assert "EVENT" not in cloud.log("hourly")
    events.disable_rule(Name="ticks")
