"""Follows a stack operation to its end: one changing line on a terminal, a line per part elsewhere, and what failed first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.account import Account
from deploy.refusal import Refusal
from deploy.screen import GREEN, RED, Screen, duration
from deploy.stack import STACK, Event, Events, Stack, find

LOOK_SECONDS, LOOK_SECONDS_LOCAL = 5.0, 0.3
SHOWN_MAX = 3
# Where the line can't change in place: how often one is written.
LINE_SECONDS = 10.0

# A word in a reason -> what it means and what to do.
HINTS = (
    ("already exists", "something of that name is there, from another stack or by hand: another SUFFIX, or delete it"),
    ("AccessDenied", "the deploying role may not do this: infra/iam/deploy-role.yaml is one that may"),
    ("is not authorized to perform", "the deploying role may not do this: infra/iam/deploy-role.yaml is one that may"),
    ("LimitExceeded", "a quota of the account is used up: ask for more in Service Quotas"),
    ("quota", "a quota of the account is used up: ask for more in Service Quotas"),
    ("ReservedConcurrentExecutions", "the account's concurrency limit is too small: SET=SwitcherConcurrency=0 keeps none free"),
    ("service-linked role", "wait a minute and deploy again: AWS has just made the role"),
    ("InsufficientDBInstanceCapacity", "the class is not to be had in these zones now: another class"),
    ("did not receive a response", "the function of a custom resource did not answer: its log group says why"),
    ("not passing", "a validation failed: the report that the reason names has every check"),
)


@dataclass
class Following:
    """An operation that runs."""

    account: Account
    screen: Screen
    events: Events
    seconds_max: float
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    status: dict[str, str] = field(default_factory=dict)
    failures: list[Event] = field(default_factory=list)

    def to_end(self, each: Callable[[], None] | None = None) -> Stack | None:
        """The stack once nothing runs any more, None if it is gone. Raises Refusal when that takes too long."""
        while True:
            stack = find(self.account, self.events.root)
            for event in self.events.new():
                self._take(event)
            if stack is None or not stack.busy:
                self.screen.clear()
                return None if stack is None or stack.status == "DELETE_COMPLETE" else stack
            if time.monotonic() - self.started > self.seconds_max:
                raise Refusal(
                    f"{stack.name} is still {stack.status} after {duration(self.seconds_max)}; CloudFormation goes on by "
                    "itself, and `make status` shows where it stands"
                )
            self._show(stack)
            if each:
                each()
            time.sleep(LOOK_SECONDS_LOCAL if self.account.is_local else LOOK_SECONDS)

    def _take(self, event: Event) -> None:
        if not event.path:
            return
        self.status[event.path] = event.status
        if event.kind == STACK and event.done:
            # What it holds has ended with it, even where its last event was not seen.
            below = [path for path in self.status if path.startswith(f"{event.path}/")]
            self.status.update(dict.fromkeys(below, event.status))
        if event.failed:
            self.failures.append(event)
            self.screen.line(self.screen.paint(f"  {self._clock}  failed  {event.path}  {event.reason}", RED))
        elif event.done and "CLEANUP" not in event.status and ROLLBACK not in event.status:
            if event.kind == STACK or event.kind.startswith("Custom::"):
                self.screen.line(f"  {self._clock}  {said(event.status)}  {event.path}")

    def _show(self, stack: Stack) -> None:
        running = [path for path, status in self.status.items() if status.endswith("_IN_PROGRESS")]
        done = len(self.status) - len(running)
        leaves = [path for path in running if not any(other.startswith(f"{path}/") for other in running)]
        shown = ", ".join(leaves[:SHOWN_MAX]) + (f" and {len(leaves) - SHOWN_MAX} more" if len(leaves) > SHOWN_MAX else "")
        text = f"  {self._clock}  {stack.status.lower().replace('_', ' ')}: {done} done, now {shown or '-'}"
        self.screen.update(text)
        if not self.screen.live and time.monotonic() - self.told >= LINE_SECONDS:
            self.told = time.monotonic()
            self.screen.line(text)

    @property
    def _clock(self) -> str:
        return duration(time.monotonic() - self.started).rjust(5)


ROLLBACK = "ROLLBACK"


def said(status: str) -> str:
    """A resource's last status as a word of seven letters."""
    word = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "IMPORT": "imported"}
    return word.get(status.partition("_")[0], status.lower())


def follow(account: Account, screen: Screen, stack_id: str, seconds_max: float) -> Following:
    """Get ready to follow: call before the operation begins."""
    events = Events(account, stack_id)
    events.begin()
    return Following(account, screen, events, seconds_max)


def explain(failures: list[Event], stack: Stack | None) -> str:
    """The first failure, in plain words."""
    if not failures:
        return stack.reason if stack and stack.reason else "CloudFormation gives no reason"
    # A nested stack fails with a resource of its own: the innermost tells what happened.
    first = min(failures, key=lambda event: (event.kind == STACK, event.at))
    hint = next((f"\n  {told}" for word, told in HINTS if word.lower() in first.reason.lower()), "")
    return f"{first.path} ({first.kind}) failed first:\n  {first.reason}{hint}"


def finished(screen: Screen, stack: Stack, seconds: float) -> None:
    """The last line of an operation that went well."""
    screen.line(screen.paint(f"  {duration(seconds).rjust(5)}  {stack.status.lower().replace('_', ' ')}", GREEN))
