"""`make deploy`: shows what it will do, uploads, has CloudFormation compare, asks, and follows to the end."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from botocore.exceptions import ClientError

from deploy import bucket as code_bucket
from deploy import changes, cloud, parameters, progress, stack
from deploy.account import Account, connect, said
from deploy.packages import FUNCTIONS, Package, find
from deploy.refusal import Refusal
from deploy.screen import BOLD, Screen, size
from deploy.settings import Settings
from deploy.templates import Templates, load

# Two Aurora clusters, NAT gateways and a distribution take most of an hour.
OPERATION_SECONDS_MAX = 5_400.0
OPERATION_SECONDS_LOCAL_MAX = 600.0
PROTECTED = "prod"


def deploy(settings: Settings, target: Path, screen: Screen) -> None:
    """Create or update the stack. Raises Refusal."""
    templates = load(settings.project / "infra")
    chosen = parameters.chosen(settings, templates)
    architecture = chosen.get("Architecture") or str(templates.parameters.get("Architecture", {}).get("Default", "x86_64"))
    packages = find(target, architecture, local=settings.local)
    account = connect(settings, cloud.start(settings, screen) if settings.local else None)
    name = settings.name(account.id)
    present = ready(account, screen, name)
    deployed = present.parameters if present and present.is_there else None
    bucket = code_bucket.name_of(name, account.id)
    wanted, held = parameters.merged(settings, templates, deployed, packages, name, bucket)
    introduce(screen, settings, account, name, present, bucket, templates, packages)
    compare(screen, templates, deployed, wanted, held)
    code_bucket.ensure(account, bucket)
    url = upload(account, bucket, templates, screen)
    change_set = changes.create(account, name, present, url, wanted, f"deploy-{settings.color}", settings.role_arn)
    if not change_set.changes:
        screen.heading("nothing to change: the stack is as it should be")
        show_outputs(screen, present)
        return
    changes.show(screen, change_set, changes.templates_changed(account, templates, change_set.changes))
    confirm(settings, screen, account, name, change_set)
    upload_packages(account, bucket, packages, screen)
    execute(account, screen, settings, name, change_set)


def ready(account: Account, screen: Screen, name: str) -> stack.Stack | None:
    """The stack, if it may be deployed to. What a failed creation left is taken away first. Raises Refusal."""
    present = stack.find(account, name)
    if present is None or present.status == "DELETE_COMPLETE":
        return None
    if present.busy:
        raise Refusal(f"{name} is being changed ({present.status}): wait until it is done, `make status` shows it")
    if present.status == "UPDATE_ROLLBACK_FAILED":
        raise Refusal(
            f"{name} could not be rolled back ({present.reason}): mend what the reason names, then "
            f"`aws cloudformation continue-update-rollback --stack-name {name}`"
        )
    if present.status in ("DELETE_FAILED", "ROLLBACK_FAILED"):
        raise Refusal(f"{name} is {present.status} ({present.reason}): `make destroy` takes it away first")
    if present.status == "ROLLBACK_COMPLETE":
        screen.note(f"{name} failed to be created and holds nothing: it is deleted first")
        following = progress.follow(account, screen, present.id, OPERATION_SECONDS_MAX)
        account.client("cloudformation").delete_stack(StackName=present.id)
        if following.to_end() is not None:
            raise Refusal(f"what is left of {name} can't be deleted: {progress.explain(following.failures, None)}")
        return None
    return present


def introduce(
    screen: Screen,
    settings: Settings,
    account: Account,
    name: str,
    present: stack.Stack | None,
    bucket: str,
    templates: Templates,
    packages: list[Package],
) -> None:
    """Where it goes, and which files."""
    screen.heading(f"deploy {settings.color} to {name}")
    screen.pairs(
        [
            ("account", f"{account.id}  ({account.told})"),
            ("region", account.region),
            ("stack", f"{name}  ({present.status.lower().replace('_', ' ') if present else 'to be created'})"),
            ("release", settings.release),
            *([("role", settings.role_arn)] if settings.role_arn else []),
            ("code bucket", bucket),
            ("templates", templates.prefix),
        ]
    )
    screen.heading("templates")
    rows = [[path, f"{len(body):,}", str(templates.resources(path))] for path, body in templates.files.items()]
    screen.table(["file", "bytes", "resources"], rows, frozenset({1, 2}))
    screen.heading("functions")
    screen.table(
        ["function", "size", "key"], [[p.function, size(p.bytes), p.key] for p in packages], frozenset({1})
    )
    if packages[0].version == "dev":
        screen.note("the development build: no package was made")
    elif packages[0].version != settings.release:
        screen.warn(f"the packages are of {packages[0].version}: `make package` builds this checkout")


def compare(
    screen: Screen, templates: Templates, deployed: dict[str, str] | None, wanted: dict[str, str], held: dict[str, str]
) -> None:
    """Parameters beside what is deployed. Raises Refusal when one has no value."""
    missing = parameters.missing(templates, wanted)
    if missing:
        raise Refusal(f"parameters without a value: {', '.join(missing)}. The environment's file or SET=Name=value gives it")
    rows = parameters.compared(templates, deployed, wanted)
    changed = [row for row in rows if row.changes]
    if deployed is None:
        screen.heading(f"parameters ({len(rows)})")
        screen.table(["name", "value"], [[row.name, row.shown(row.wanted)] for row in rows])
        return
    screen.heading(f"parameters: {len(changed)} of {len(rows)} change")
    screen.table(
        ["name", "deployed", "now"], [[row.name, row.shown(row.deployed), row.shown(row.wanted)] for row in changed]
    )
    for name in sorted(held):
        screen.warn(f"{name} stays as deployed: it is the other color's")


def upload(account: Account, bucket: str, templates: Templates, screen: Screen) -> str:
    """Bring the templates; the root's URL."""
    objects = {f"{templates.prefix}/{path}": partial(bytes, body) for path, body in templates.files.items()}
    sent = code_bucket.put_missing(account, bucket, objects, screen)
    screen.heading(f"uploaded {sent} of {len(templates.files)} templates")
    return account.object_url(bucket, f"{templates.prefix}/template.yaml")


def upload_packages(account: Account, bucket: str, packages: list[Package], screen: Screen) -> None:
    """Bring the zip files that are not there yet: only once the parameters were found to be good."""
    sent = code_bucket.put_missing(account, bucket, {p.key: p.read for p in packages}, screen)
    screen.line(f"  uploaded {sent} of {len(FUNCTIONS)} zip files")


def confirm(settings: Settings, screen: Screen, account: Account, name: str, change_set: changes.ChangeSet) -> None:
    """Go on only where that is meant; else take the change set away. Raises Refusal."""
    try:
        touched = changes.touched(settings.color or "", change_set)
        if touched:
            names = ", ".join(change.name for change in touched)
            raise Refusal(f"this would replace or remove what is the other color's ({names}): nothing was changed")
        if settings.asks:
            screen.confirm(f"Deploy? Type {name} to go on:", name)
    except Refusal:
        changes.drop(account, name, change_set)
        raise


def execute(account: Account, screen: Screen, settings: Settings, name: str, change_set: changes.ChangeSet) -> None:
    """Do it, and tell how it went. Raises Refusal when it failed."""
    screen.heading(f"{'creating' if change_set.creates else 'updating'} {name}")
    seconds_max = OPERATION_SECONDS_LOCAL_MAX if account.is_local else OPERATION_SECONDS_MAX
    following = progress.follow(account, screen, change_set.stack_id, seconds_max)
    try:
        account.client("cloudformation").execute_change_set(ChangeSetName=change_set.id)
    except ClientError as error:
        raise Refusal(f"the change set can't be executed: {said(error)}") from error
    ended = following.to_end()
    if ended is None or ended.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        state = ended.status if ended else "gone"
        raise Refusal(f"{name} is {state}. {progress.explain(following.failures, ended)}")
    progress.finished(screen, ended, time.monotonic() - following.started)
    if settings.environment == PROTECTED and not account.is_local and not ended.protected:
        account.client("cloudformation").update_termination_protection(StackName=name, EnableTerminationProtection=True)
        screen.note("the stack is protected against deletion; `make destroy` lifts that when it is meant")
    if account.is_local:
        screen.note(f"only written down here, without any effect: {', '.join(cloud.recorded(settings)) or 'nothing'}")
        screen.note("no database runs here, so payments are answered 503; `make run` brings databases and payments")
    show_outputs(screen, ended)


def show_outputs(screen: Screen, present: stack.Stack | None) -> None:
    """What the stack says of itself."""
    if present and present.outputs:
        screen.heading("outputs")
        # Never shortened: they are copied from here.
        screen.pairs(sorted(present.outputs.items()))
    screen.line()
    screen.line(screen.paint("done", BOLD))
