"""What each role was allowed and denied, and which of its permissions no call has needed yet.

A policy is least-privilege only if nothing that it denies is needed and all that it allows is. Both are seen here, from
the policies as they are attached and from the calls as they are made.
"""

from __future__ import annotations

import json
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, EvalResult, ParsedStatement

from cutover_cloud import control

# Distinct denials that are kept: a function that is denied in a loop must not fill the memory.
DENIALS_MAX = 1_000

Statements = list[list[ParsedStatement]]


@dataclass(frozen=True, order=True)
class Permission:
    """An action that a statement of a role's policies allows."""

    role: str
    statement: str
    action: str


@dataclass
class Record:
    """Of one role."""

    granted: set[Permission] = field(default_factory=set)
    # With the resource as the policy has it: the calls' own would be as many as there are payments.
    used: Counter[tuple[Permission, str]] = field(default_factory=Counter)
    denied: Counter[tuple[str, str]] = field(default_factory=Counter)


_records: dict[str, Record] = {}
_evaluated: ContextVar[tuple[EvalContext, Statements] | None] = ContextVar("evaluated", default=None)


def role_of(principal: str) -> str | None:
    """The role's name of `arn:aws:sts::<account>:assumed-role/<role>/<session>`; None for anyone else."""
    resource = principal.rpartition(":")[2].split("/")
    return resource[1] if resource[0] == "assumed-role" and len(resource) > 2 else None


def _grants(role: str, policies: Statements) -> set[Permission]:
    allows = [statement for policy in policies for statement in policy if statement.effect == "Allow"]
    return {Permission(role, statement.sid, action) for statement in allows for action in statement.actions}


def _matching(role: str, context: EvalContext, policies: Statements) -> list[tuple[Permission, str]]:
    """The permission that each allowing statement gave, with the resource that it names."""
    found = []
    for statement in (statement for policy in policies for statement in policy if statement.effect == "Allow"):
        if not iam_evaluator._conditions_met(statement.conditions, context):
            continue
        actions = [a for a in statement.actions if iam_evaluator._action_matches(context.action, [a], [])]
        resources = [r for r in statement.resources if iam_evaluator._resource_matches(context.resource_arn, [r], [])]
        if actions and resources:
            found.append((Permission(role, statement.sid, actions[0]), resources[0]))
    return found


def note(role: str, context: EvalContext, policies: Statements, allowed: bool) -> None:
    """Write one decision down."""
    record = _records.setdefault(role, Record())
    # A role that loses its policies while its stack is deleted had them all the same.
    record.granted = _grants(role, policies) or record.granted
    if allowed:
        record.used.update(_matching(role, context, policies))
    elif len(record.denied) < DENIALS_MAX or (context.action, context.resource_arn) in record.denied:
        record.denied[(context.action, context.resource_arn)] += 1


def told() -> dict[str, Any]:
    """All of it, for a test."""
    roles = sorted(_records.items())
    return {
        "used": [
            {"role": role, "statement": p.statement, "action": p.action, "resource": resource, "times": times}
            for role, record in roles
            for (p, resource), times in sorted(record.used.items())
        ],
        "unused": [
            {"role": role, "statement": p.statement, "action": p.action}
            for role, record in roles
            for p in sorted(record.granted - {used for used, _ in record.used})
        ],
        "denied": [
            {"role": role, "action": action, "resource": resource, "times": times}
            for role, record in roles
            for (action, resource), times in sorted(record.denied.items())
        ],
    }


def write(folder: Path) -> None:
    """Leave it behind in the run folder."""
    (folder / "authorizations.json").write_text(json.dumps(told(), indent=1) + "\n")


def _answer(given: dict[str, Any]) -> Any:
    answer = told()
    if given.get("clear") is True:
        _records.clear()
    return answer


def install() -> None:
    """Look on where MiniStack decides."""
    evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce

    def evaluated(context: EvalContext, policies: Statements, *limits: Statements) -> EvalResult:
        # A resource's own policy is evaluated after the role's; which of the two it is, is not said.
        if _evaluated.get() is None:
            _evaluated.set((context, policies))
        return evaluate(context, policies, *limits)

    def enforced(*arguments: Any, **options: Any) -> Any:
        _evaluated.set(None)
        refusal = enforce(*arguments, **options)
        seen = _evaluated.get()
        role = role_of(seen[0].principal_arn) if seen else None
        if seen and role:
            note(role, *seen, allowed=refusal is None)
        return refusal

    iam_evaluator.evaluate = evaluated
    iam_evaluator.enforce = enforced
    control.register("authorizations", _answer)
