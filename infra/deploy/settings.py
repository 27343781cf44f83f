"""What a user chooses: which environment, which color, where."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from deploy.refusal import WrongArgument

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "staging", "prod")
COLORS = ("blue", "green")
ARCHITECTURES = ("x86_64", "arm64")
SUFFIX = re.compile(r"[a-z0-9]{8}")
ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")
RELEASE = re.compile(r"[A-Za-z0-9._-]{1,64}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,254}")
LOCAL_SUFFIX = "local001"
LOCAL_REGION = "us-east-1"
LOCAL_PORT = 4566
GIT_SECONDS = 10


@dataclass(frozen=True)
class Settings:
    """The choices, checked."""

    environment: str
    suffix: str
    color: str | None = None
    release: str = ""
    region: str | None = None
    # The role that CloudFormation works with; the caller's own rights where it is empty.
    role_arn: str = ""
    overrides: dict[str, str] = field(default_factory=dict)
    yes: bool = False
    local: bool = False
    local_port: int = LOCAL_PORT
    project: Path = PROJECT
    run_dir: Path = PROJECT / "run"

    def name(self, account: str) -> str:
        """The environment's name, which is the stack's. Without a suffix of one's own it follows from the account."""
        return f"{self.environment}-payment-{self.suffix or suffix_of(account)}"

    @property
    def asks(self) -> bool:
        """Whether a person confirms. Nothing local is worth a question."""
        return not (self.yes or self.local)

    @property
    def cloud_dir(self) -> Path:
        """Where the local cloud writes."""
        return self.run_dir / f"local-{self.local_port}"


def suffix_of(account: str) -> str:
    """The last eight digits of the account: the same at each call, and of one's own among all bucket names."""
    return account[-8:]


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """`value`, if it is taken. Raises WrongArgument."""
    if value not in allowed:
        problem = f"{name} is missing" if not value else f"{name} is '{value}'"
        raise WrongArgument(f"{problem}: it takes {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


def flag(name: str, value: str) -> bool:
    """A switch of the command line: 1 or nothing."""
    if value not in ("", "0", "1"):
        raise WrongArgument(f"{name} is '{value}': it takes 1, or is left out")
    return value == "1"


def port(value: str) -> int:
    """The local cloud's port."""
    if not value.isdigit() or not 1 <= int(value) <= 65535:
        raise WrongArgument(f"LOCAL_PORT is '{value}': it takes 1 to 65535")
    return int(value)


def overrides(value: str) -> dict[str, str]:
    """`Name=value Name=value`: parameters that stand above those of the file."""
    found: dict[str, str] = {}
    for word in value.split():
        name, equals, text = word.partition("=")
        if not equals or not NAME.fullmatch(name):
            raise WrongArgument(f"SET has '{word}': it takes Name=value, with blanks between several")
        found[name] = text
    return found


def described(project: Path) -> str:
    """What git calls the checkout, as a release label; empty outside of a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--tags", "--always", "--dirty"],
            cwd=project, capture_output=True, text=True, timeout=GIT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    label = re.sub(r"[^A-Za-z0-9._-]", "-", done.stdout.strip())[:64]
    return label if done.returncode == 0 else ""


def release_label(value: str, project: Path) -> str:
    """RELEASE, or what git says. Raises WrongArgument where there is neither."""
    label = value or described(project)
    if not RELEASE.fullmatch(label):
        problem = f"RELEASE is '{value}'" if value else "RELEASE is missing, and git describes nothing here"
        raise WrongArgument(f"{problem}: it takes 1 to 64 of A-Z a-z 0-9 . _ -")
    return label


def read(given: dict[str, str], *, needs_color: bool, project: Path = PROJECT) -> Settings:
    """Check what the command line says; each mistake names what is taken. Raises WrongArgument."""
    environment = one_of("ENV", given.get("env", ""), ENVIRONMENTS)
    color = one_of("COLOR", given.get("color", ""), COLORS) if needs_color else None
    local = flag("LOCAL", given.get("local", ""))
    suffix = given.get("suffix", "")
    if suffix and not SUFFIX.fullmatch(suffix):
        raise WrongArgument(f"SUFFIX is '{suffix}': it takes eight of a-z 0-9, as in ab12cd34")
    role_arn = given.get("role_arn", "")
    if role_arn and not ROLE_ARN.fullmatch(role_arn):
        raise WrongArgument(f"ROLE_ARN is '{role_arn}': it takes arn:aws:iam::<account>:role/<name>")
    return Settings(
        role_arn=role_arn,
        environment=environment,
        suffix=suffix or (LOCAL_SUFFIX if local else ""),
        color=color,
        release=release_label(given.get("release", ""), project) if needs_color else "",
        region=given.get("region") or (LOCAL_REGION if local else os.environ.get("AWS_REGION")),
        overrides=overrides(given.get("set", "")),
        yes=flag("YES", given.get("yes", "")),
        local=local,
        local_port=port(given.get("local_port") or str(LOCAL_PORT)),
        project=project,
    )
