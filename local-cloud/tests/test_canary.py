"""Canary releases of REST APIs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from cloud import ACCOUNT, REGION, Cloud, post

from cutover_cloud import canary

REQUESTS = 100
OVERRIDE = "/canarySettings/stageVariableOverrides/version"


def patch(path: str, value: str | None = None, op: str = "replace") -> dict[str, str]:
    """A patch operation."""
    return {"op": op, "path": path} | ({} if value is None else {"value": value})


class Api:
    """A REST API whose integration is chosen by the stage variable `version`."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.gateway = cloud.client("apigateway")
        cloud.colors(name)
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:${{stageVariables.version}}"
        self.url = cloud.rest_api(function)
        self.id = self.url.split("/")[5]
        self.patch(patch("/variables/version", "1", "add"))

    def patch(self, *patches: dict[str, str]) -> dict[str, Any]:
        """UpdateStage."""
        return self.gateway.update_stage(restApiId=self.id, stageName="prod", patchOperations=list(patches))

    def stage(self) -> dict[str, Any]:
        """GetStage."""
        return self.gateway.get_stage(restApiId=self.id, stageName="prod")

    def colors(self) -> Counter[str]:
        """Who answers."""
        return Counter(post(self.url, {})[1]["color"] for _ in range(REQUESTS))


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Api:
    """An API without a canary, all on version 1."""
    return Api(cloud, "canaried")


def test_traffic_is_split_and_promoted(api: Api) -> None:
    assert api.colors() == {"blue": REQUESTS}
    api.patch(patch(OVERRIDE, "2"), patch("/canarySettings/percentTraffic", "25.0"))
    shown = api.stage()["canarySettings"]
    assert shown["percentTraffic"] == 25.0 and shown["stageVariableOverrides"] == {"version": "2"}
    # 25 expected; six standard deviations.
    assert 1 <= api.colors()["green"] <= 51
    api.patch(patch("/canarySettings/percentTraffic", "100"))
    assert api.colors() == {"green": REQUESTS}
    assert post(api.url, {"echo": True})[1]["event"]["stageVariables"] == {"version": "2"}
    api.patch(
        {"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"},
        {"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
        patch("/canarySettings", op="remove"),
    )
    assert api.stage()["variables"] == {"version": "2"} and "canarySettings" not in api.stage()
    assert api.colors() == {"green": REQUESTS}
    api.patch(patch("/variables/version", "1"))


def test_removed_override_leaves_the_stage_variable(api: Api) -> None:
    api.patch(patch(OVERRIDE, "2", "add"), patch("/canarySettings/percentTraffic", "100"))
    api.patch(patch(OVERRIDE, op="remove"))
    assert api.colors() == {"blue": REQUESTS}
    api.patch(patch("/canarySettings", op="remove"))


def test_refused_patch_changes_nothing(api: Api) -> None:
    before = api.stage()["variables"]
    for bad in (
        patch("/canarySettings/percentTraffic", "100.1"),
        patch("/canarySettings/percentTraffic", "many"),
        patch("/canarySettings/unknown", "1"),
        patch("/canarySettings", "{}"),
        patch(OVERRIDE, "a b"),
        {"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
    ):
        with pytest.raises(api.gateway.exceptions.BadRequestException):
            api.patch(patch("/variables/version", "9"), bad)
        assert api.stage()["variables"] == before and "canarySettings" not in api.stage()


def test_deployment_goes_to_the_canary(api: Api) -> None:
    before = api.stage()["deploymentId"]
    made = api.gateway.create_deployment(restApiId=api.id, stageName="prod", canarySettings={"percentTraffic": 1.0})
    stage = api.stage()
    assert stage["deploymentId"] == before and stage["canarySettings"]["deploymentId"] == made["id"]
    api.patch(patch("/canarySettings", op="remove"))


def test_unknown_variable_is_a_configuration_error(api: Api) -> None:
    api.patch(patch("/variables/version", op="remove"))
    assert post(api.url, {})[0] == 500
    api.patch(patch("/variables/version", "1"))


def test_variables_at_the_edge_of_the_percentage() -> None:
    overrides = {"percentTraffic": 10.0, "stageVariableOverrides": {"a": "2"}}
    stage = {"variables": {"a": "1", "b": "1"}, "canarySettings": overrides}
    assert canary.variables_of(stage, 9.99) == {"a": "2", "b": "1"}
    assert canary.variables_of(stage, 10.0) == {"a": "1", "b": "1"}
    assert canary.variables_of({}, 0.0) == {}
    assert canary.resolved("x:${stageVariables.a}:y", {"a": "1"}) == "x:1:y"
    assert canary.resolved("x:${stageVariables.a}:${stageVariables.none}", {"a": "1"}) is None
