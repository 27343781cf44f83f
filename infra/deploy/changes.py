"""A change set: what CloudFormation would do, before it does it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account, code, said
from deploy.refusal import Refusal
from deploy.screen import Screen
from deploy.stack import STACK, Stack
from deploy.templates import ROOT, Templates

READY_SECONDS_MAX = 300.0
LOOK_SECONDS, LOOK_SECONDS_LOCAL = 3.0, 0.2
# More new resources than these are shown by type.
ROWS_MAX = 40
REPLACE, REMOVE = "REPLACE", "REMOVE"
NOTHING = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Change:
    """What would become of one resource of the root."""

    action: str
    # "True", "False", "Conditional": whether it is made anew; empty where it is not modified.
    replacement: str
    name: str
    kind: str
    id: str
    why: str

    @property
    def word(self) -> str:
        """The action as people say it."""
        if self.action == "Modify":
            return {"True": REPLACE, "Conditional": "may replace"}.get(self.replacement, "change")
        return {"Add": "add", "Remove": REMOVE, "Import": "import"}.get(self.action, self.action)


@dataclass(frozen=True)
class ChangeSet:
    """A change set that is ready, or one that found nothing to do."""

    id: str
    stack_id: str
    creates: bool
    changes: list[Change]

    @property
    def summary(self) -> str:
        """How many of each."""
        counted = Counter(change.word for change in self.changes)
        words = {"add": "to add", "change": "to change", "may replace": "may be replaced", REPLACE: "to REPLACE", REMOVE: "to REMOVE"}
        parts = [f"{counted[word]} {told}" for word, told in words.items() if counted[word]]
        return ", ".join(parts) or "nothing to do"


def create(
    account: Account,
    name: str,
    stack: Stack | None,
    url: str,
    wanted: dict[str, str],
    label: str,
    role_arn: str = "",
) -> ChangeSet:
    """Have CloudFormation compare; what it refuses is said in its own words. Raises Refusal."""
    creates = stack is None or not stack.is_there
    client = account.client("cloudformation")
    try:
        made = client.create_change_set(
            StackName=name,
            ChangeSetName=f"{label}-{int(time.time())}",
            ChangeSetType="CREATE" if creates else "UPDATE",
            TemplateURL=url,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(wanted.items())],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **({"RoleARN": role_arn} if role_arn else {}),
        )
    except ClientError as error:
        if code(error) != "ValidationError":
            raise
        raise Refusal(refused(said(error), wanted)) from error
    status, reason = _wait(account, made["Id"])
    if status == "CREATE_COMPLETE":
        return ChangeSet(made["Id"], made["StackId"], creates, _read(client, made["Id"]))
    found = ChangeSet(made["Id"], made["StackId"], creates, [])
    drop(account, name, found)
    if any(told in reason for told in NOTHING):
        return found
    raise Refusal(refused(reason, wanted))


def _wait(account: Account, change_set: str) -> tuple[str, str]:
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        found = account.client("cloudformation").describe_change_set(ChangeSetName=change_set)
        if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return found["Status"], found.get("StatusReason", "")
        if time.monotonic() > until:
            raise Refusal(f"CloudFormation did not compare in {READY_SECONDS_MAX:.0f} s; nothing was changed")
        time.sleep(LOOK_SECONDS_LOCAL if account.is_local else LOOK_SECONDS)


def refused(message: str, wanted: dict[str, str]) -> str:
    """CloudFormation's refusal with the values that it is about."""
    message = message.removeprefix("Template error: ").strip()
    named = [f"{name}={value!r}" for name, value in sorted(wanted.items()) if name in message.replace("'", " ").split()]
    values = f"\n  given: {', '.join(named)}" if named else ""
    return f"the template refuses these parameters, and nothing was created.\n  {message}{values}"


def _read(client: Any, change_set: str) -> list[Change]:
    # The pages of one answer; botocore has a paginator for them.
    pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
    return [_change(found["ResourceChange"]) for page in pages for found in page["Changes"]]


def _change(found: dict[str, Any]) -> Change:
    why = sorted({_cause(detail) for detail in found.get("Details", [])} - {""})
    return Change(
        action=found["Action"],
        replacement=found.get("Replacement", ""),
        name=found["LogicalResourceId"],
        kind=found["ResourceType"],
        id=found.get("PhysicalResourceId", ""),
        why=", ".join(why),
    )


def _cause(detail: dict[str, Any]) -> str:
    if detail.get("CausingEntity"):
        return str(detail["CausingEntity"])
    target = detail.get("Target", {})
    return str(target.get("Name") or target.get("Attribute") or "")


def drop(account: Account, name: str, change_set: ChangeSet) -> None:
    """Take a change set away that is not executed, and the empty stack that it stands for."""
    client = account.client("cloudformation")
    try:
        client.delete_change_set(ChangeSetName=change_set.id)
        if change_set.creates:
            client.delete_stack(StackName=name)
    except ClientError as error:
        raise Refusal(f"the change set {change_set.id} could not be taken away: {said(error)}") from error


def templates_changed(account: Account, templates: Templates, changes: list[Change]) -> dict[str, bool]:
    """Logical ids of nested stacks -> whether their template is another than the deployed one."""
    declared = templates.parsed(ROOT).get("Resources", {})
    found: dict[str, bool] = {}
    for change in changes:
        if change.kind != STACK or change.action != "Modify" or not change.id:
            continue
        url = str(declared.get(change.name, {}).get("Properties", {}).get("TemplateURL", ""))
        path = next((path for path in templates.files if path != ROOT and url.endswith(f"/{path}")), None)
        if path is None:
            continue
        body = account.client("cloudformation").get_template(StackName=change.id)["TemplateBody"]
        found[change.name] = not isinstance(body, str) or body.strip() != templates.files[path].decode().strip()
    return found


def show(screen: Screen, change_set: ChangeSet, changed: dict[str, bool]) -> None:
    """The change set as a table. What is only added is counted by type where it is much."""
    screen.heading(f"change set: {change_set.summary}")
    added = [change for change in change_set.changes if change.action == "Add"]
    others = [change for change in change_set.changes if change.action != "Add"]
    if len(added) > ROWS_MAX:
        kinds = Counter(change.kind for change in added)
        rows = [["add", str(count), kind, ""] for kind, count in sorted(kinds.items())]
        screen.table(["", "count", "type", ""], rows, frozenset({1}))
        added = []
    rows = []
    for change in [*added, *others]:
        why = change.why
        if change.name in changed:
            why = "another template" if changed[change.name] else "the same template, looked at again"
        rows.append([change.word, change.name, change.kind, why])
    screen.table(["", "resource", "type", "why"], rows)


def touched(color: str, change_set: ChangeSet) -> list[Change]:
    """What this deployment would replace or remove of the other color."""
    other = "Green" if color == "blue" else "Blue"
    return [c for c in change_set.changes if c.name.startswith(other) and c.kind != STACK and c.word in (REPLACE, REMOVE)]
