"""The stack as CloudFormation has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account, code, said

# Depth of nesting that is looked into; the template has two levels.
DEPTH_MAX = 4
STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Stack:
    """A stack that is there."""

    id: str
    name: str
    status: str
    reason: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    protected: bool

    @property
    def busy(self) -> bool:
        """Whether an operation runs. A review is none: it waits for a change set to be executed."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def is_there(self) -> bool:
        """Whether it has been created, be it in part."""
        return self.status not in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


def find(account: Account, name: str) -> Stack | None:
    """The stack of a name or id, if there is one."""
    try:
        described = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if code(error) == "ValidationError" and "does not exist" in said(error):
            return None
        raise
    found = described[0]
    return Stack(
        id=found["StackId"],
        name=found["StackName"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
        outputs={o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])},
        protected=bool(found.get("EnableTerminationProtection")),
    )


@dataclass(frozen=True)
class Resource:
    """A resource of the stack or of one that it nests."""

    path: str
    kind: str
    id: str
    status: str


def resources(account: Account, stack_id: str, depth: int = DEPTH_MAX, path: str = "") -> Iterator[Resource]:
    """Every resource that is there, nested ones after the stack that holds them."""
    pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_id)
    for page in pages:
        for found in page["StackResourceSummaries"]:
            status = found["ResourceStatus"]
            if status == "DELETE_COMPLETE" or not found.get("PhysicalResourceId"):
                continue
            name = f"{path}{found['LogicalResourceId']}"
            yield Resource(name, found["ResourceType"], found["PhysicalResourceId"], status)
            if found["ResourceType"] == STACK and depth > 1:
                yield from resources(account, found["PhysicalResourceId"], depth - 1, f"{name}/")


@dataclass
class Event:
    """What became of a resource at a moment."""

    path: str
    kind: str
    id: str
    status: str
    reason: str
    at: Any

    @property
    def failed(self) -> bool:
        """Whether it went wrong, and is no consequence of something else that did."""
        return self.status.endswith("_FAILED") and not any(told in self.reason for told in CONSEQUENCES)

    @property
    def done(self) -> bool:
        """Whether this is the resource's last event for now."""
        return self.status.endswith(("_COMPLETE", "_FAILED"))


# Reasons of failures that another failure brought about.
CONSEQUENCES = (
    "Resource creation cancelled",
    "Resource update cancelled",
    "Resource deletion cancelled",
)


@dataclass
class Events:
    """New events of a stack and of all that it nests, in order of time."""

    account: Account
    root: str
    since: Any = None
    _seen: set[str] = field(default_factory=set)
    # Stack id -> path of its resource in the root.
    _stacks: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Take all events that there are by now as known."""
        nested = resources(self.account, self.root)
        self._stacks = {self.root: ""} | {found.id: f"{found.path}/" for found in nested if found.kind == STACK}
        self.new()

    def new(self) -> list[Event]:
        """Events since the last call."""
        found: list[Event] = []
        waiting = list(self._stacks)
        while waiting:
            stack = waiting.pop()
            for event in self._of(stack):
                found.append(event)
                if event.kind == STACK and event.id and event.id not in self._stacks and event.id != self.root:
                    self._stacks[event.id] = f"{event.path}/"
                    waiting.append(event.id)
        return sorted(found, key=lambda event: event.at)

    def _of(self, stack: str) -> Iterator[Event]:
        pages = self.account.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
        path = self._stacks[stack]
        try:
            for page in pages:
                for found in page["StackEvents"]:
                    if found["EventId"] in self._seen:
                        return
                    own = found.get("PhysicalResourceId", "") == found["StackId"]
                    if own and path:
                        # The parent tells of it, too.
                        self._seen.add(found["EventId"])
                        continue
                    yield self._read(found, path)
        except ClientError as error:
            # A nested stack that is gone by now.
            if code(error) != "ValidationError":
                raise

    def _read(self, found: dict[str, Any], path: str) -> Event:
        self._seen.add(found["EventId"])
        own = found.get("PhysicalResourceId", "") == found["StackId"]
        return Event(
            path="" if own else f"{path}{found['LogicalResourceId']}",
            kind=found["ResourceType"],
            id=found.get("PhysicalResourceId", ""),
            status=found["ResourceStatus"],
            reason=found.get("ResourceStatusReason", ""),
            at=found["Timestamp"],
        )
