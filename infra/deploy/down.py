"""`make destroy`: shows what goes, asks for the environment's name, takes away what blocks a deletion, and says what is left."""

from __future__ import annotations

import time
from collections import Counter

from botocore.exceptions import ClientError

from deploy import blockers, bucket, cloud, leftovers, progress, stack, status
from deploy.account import Account, connect, said
from deploy.refusal import Refusal
from deploy.screen import BOLD, Screen
from deploy.settings import Settings

OPERATION_SECONDS_MAX = 5_400.0
OPERATION_SECONDS_LOCAL_MAX = 600.0
# What is written while the stack goes may block it once more.
ATTEMPTS_MAX = 3
MIGRATES = ("validating", "shifting", "paused", "baking", "rolling_back")
OBJECTS_COUNTED_MAX = 10_000


def destroy(settings: Settings, screen: Screen) -> None:
    """Delete the environment. Raises Refusal when something of it can't be deleted."""
    if settings.local and not cloud.answers(settings):
        screen.line(f"no local cloud answers at port {settings.local_port}: there is nothing to destroy")
        cloud.stop(settings, screen)
        return
    account = connect(settings, cloud.endpoint(settings) if settings.local else None)
    name = settings.name(account.id)
    present = stack.find(account, name)
    code = bucket.name_of(name, account.id)
    if present is not None and present.busy and present.status != "DELETE_IN_PROGRESS":
        raise Refusal(f"{name} is being changed ({present.status}): wait until it is done, `make status` shows it")
    found = blockers.find(account, present.id) if present else blockers.Blockers()
    introduce(screen, account, name, present, found, code)
    if settings.asks:
        screen.confirm(f"Delete all of it, for good? Type {name} to go on:", name)
    if present is not None:
        take_away(account, screen, present, found)
    remains(account, screen, name, code)
    if settings.local:
        cloud.stop(settings, screen)


def introduce(
    screen: Screen, account: Account, name: str, present: stack.Stack | None, found: blockers.Blockers, code: str
) -> None:
    """What is deleted, and what is emptied or switched off first."""
    screen.heading(f"destroy {name}")
    rows = [
        ("account", f"{account.id}  ({account.told})"),
        ("region", account.region),
        ("stack", present.status.lower().replace("_", " ") if present else "there is none"),
    ]
    if present:
        screen.pairs(rows + status.switch(account, name))
        counted = Counter(found.kinds)
        screen.heading(f"deleted: {counted.total()} resources")
        screen.table(["count", "type"], [[str(n), kind] for kind, n in sorted(counted.items())], frozenset({0}))
    else:
        screen.pairs(rows)
    screen.heading("emptied or switched off first")
    steps = [["emptied", "bucket", b, f"{bucket.count(account, b, OBJECTS_COUNTED_MAX)} versions"] for b in found.buckets]
    if bucket.exists(account, code):
        steps.append(["deleted", "bucket", code, f"{bucket.count(account, code, OBJECTS_COUNTED_MAX)} versions"])
    steps += [["deleted", "recovery points", vault, f"{len(points)}"] for vault, points in found.points.items()]
    steps += [["stopped", "replication task", task, ""] for task in found.tasks]
    steps += [["unprotected", kind, thing, "deletion protection"] for kind, thing in found.protected]
    if present and present.protected:
        steps.append(["unprotected", "stack", name, "termination protection"])
    screen.table(["", "what", "name", ""], steps)
    if not steps:
        screen.note("nothing")
    phase = status.migration(account, name).get("phase") if present else None
    if phase in MIGRATES:
        screen.warn(f"a migration runs ({phase}): the stack's own deletion ends it, after which no traffic is served")
    screen.warn("log groups, ledgers, sessions and transaction logs go with it; nothing is kept")


def take_away(account: Account, screen: Screen, present: stack.Stack, found: blockers.Blockers) -> None:
    """Delete the stack; what blocks it is taken away before, while and, if need be, after. Raises Refusal."""
    screen.heading(f"deleting {present.name}")
    client = account.client("cloudformation")
    if present.protected:
        client.update_termination_protection(StackName=present.id, EnableTerminationProtection=False)
    seconds_max = OPERATION_SECONDS_LOCAL_MAX if account.is_local else OPERATION_SECONDS_MAX
    started = time.monotonic()
    for attempt in range(1, ATTEMPTS_MAX + 1):
        blockers.clear(account, screen, found)
        following = progress.follow(account, screen, present.id, seconds_max)
        try:
            client.delete_stack(StackName=present.id)
        except ClientError as error:
            raise Refusal(f"{present.name} can't be deleted: {said(error)}") from error
        ended = following.to_end(each=lambda: blockers.keep_empty(account, found))
        if ended is None:
            screen.line(f"  {progress.duration(time.monotonic() - started).rjust(5)}  deleted")
            return
        why = progress.explain(following.failures, ended)
        if attempt == ATTEMPTS_MAX:
            raise Refusal(f"{present.name} is {ended.status} after {attempt} attempts. {why}")
        screen.warn(f"once more, attempt {attempt + 1} of {ATTEMPTS_MAX}: {why}")
        found = blockers.find(account, present.id)


def remains(account: Account, screen: Screen, name: str, code: str) -> None:
    """Delete what the stack did not own, and say what is left."""
    if bucket.exists(account, code):
        deleted = bucket.empty(account, code)
        account.client("s3").delete_bucket(Bucket=code)
        screen.line(f"  deleted the code bucket with {deleted:,} versions")
    for text in leftovers.sweep(account, name):
        screen.line(f"  deleted {text}")
    left = leftovers.find(account, name)
    screen.heading("left" if left else "nothing is left")
    screen.table(["what", "name", ""], [[kind, thing, note] for kind, thing, note in left])
    screen.line()
    screen.line(screen.paint("done", BOLD))
