"""The stack's parameters: from the environment's file, the deployed stack, the release at hand, and the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.packages import Package
from deploy.refusal import Refusal
from deploy.settings import Settings
from deploy.templates import Templates

KEY_PARAMETERS = {
    "payment-validation": "PaymentValidationKey",
    "pre-migration-validator": "PreMigrationValidatorKey",
    "environment-switcher": "EnvironmentSwitcherKey",
    "secret-rotation": "SecretRotationKey",
}
# Blue's own, beside those that begin with its name. Where green has none of its own it takes them over.
BLUES = ("ContainerImage", "ApplicationKey")
HIDDEN = "****"


@dataclass(frozen=True)
class Parameter:
    """One parameter, as it is deployed and as it will be."""

    name: str
    deployed: str | None
    wanted: str | None
    secret: bool

    @property
    def changes(self) -> bool:
        """Whether this deployment changes it."""
        return self.deployed != self.wanted

    def shown(self, value: str | None) -> str:
        """A value for the screen."""
        if value is None:
            return "-"
        return HIDDEN if self.secret else value or '""'


def file_of(settings: Settings, environment: str) -> Path:
    """`infra/params/<environment>.json`."""
    return settings.project / "infra" / "params" / f"{environment}.json"


def from_file(path: Path) -> dict[str, str]:
    """The `Parameters` of a file in CloudFormation's form of a template configuration. Raises Refusal."""
    try:
        given: Any = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise Refusal(f"{path} is missing: it holds the environment's parameters") from error
    except ValueError as error:
        raise Refusal(f"{path} is no JSON: {error}") from error
    found = given.get("Parameters") if isinstance(given, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refusal(f'{path} takes {{"Parameters": {{"Name": "value"}}}}, every value a string')
    return found


def chosen(settings: Settings, templates: Templates) -> dict[str, str]:
    """What file and command line say. A name that the template does not have is refused: it would do nothing."""
    files = [file_of(settings, settings.environment)]
    if settings.local:
        files.append(file_of(settings, "local"))
    values: dict[str, str] = {}
    for path in files:
        found = from_file(path)
        _known(templates, found, path.name)
        values |= found
    _known(templates, settings.overrides, "SET")
    return values | settings.overrides


def _known(templates: Templates, values: dict[str, str], where: str) -> None:
    unknown = sorted(set(values) - set(templates.parameters))
    if unknown:
        raise Refusal(
            f"{where} names {', '.join(unknown)}, which the template does not have. It has "
            f"{', '.join(sorted(templates.parameters))}"
        )


def released(settings: Settings, deployed: dict[str, str] | None) -> dict[str, str]:
    """The color that is deployed and the labels of both: only the one at hand gets another. Raises Refusal."""
    if settings.color == "green":
        if not (deployed or {}).get("BlueRelease"):
            raise Refusal("there is no blue yet: COLOR=blue is deployed first, then COLOR=green beside it")
        return {"DeployColor": "green", "GreenRelease": settings.release, "BlueRelease": (deployed or {})["BlueRelease"]}
    return {
        "DeployColor": "blue",
        "BlueRelease": settings.release,
        "GreenRelease": (deployed or {}).get("GreenRelease", ""),
    }


def held_back(settings: Settings, values: dict[str, str], deployed: dict[str, str] | None) -> dict[str, str]:
    """What only the other color has and is to be otherwise: it stays as it is deployed."""
    if not deployed or not settings.color:
        return {}
    other = "Green" if settings.color == "blue" else "Blue"
    return {
        name: deployed[name]
        for name, value in values.items()
        if (name.startswith(other) or (other == "Blue" and name in BLUES))
        and name in deployed
        and deployed[name] != value
        and name not in settings.overrides
    }


def merged(
    settings: Settings,
    templates: Templates,
    deployed: dict[str, str] | None,
    packages: list[Package],
    environment_name: str,
    bucket: str,
) -> tuple[dict[str, str], dict[str, str]]:
    """Every parameter that is given, and what is held back for the other color's sake. Raises Refusal."""
    values = chosen(settings, templates)
    held = held_back(settings, values, deployed)
    made = {
        "EnvironmentName": environment_name,
        "CodeBucket": bucket,
        "TemplatePrefix": templates.prefix,
        "Architecture": packages[0].architecture,
        **released(settings, deployed),
        **{KEY_PARAMETERS[package.function]: package.key for package in packages},
    }
    fixed = {name: value for name, value in made.items() if name in templates.parameters}
    return values | held | {n: v for n, v in fixed.items() if n not in settings.overrides}, held


def compared(templates: Templates, deployed: dict[str, str] | None, wanted: dict[str, str]) -> list[Parameter]:
    """Each parameter of the template or of the deployed stack, in the template's order."""
    rows = []
    for name, declared in templates.parameters.items():
        default = declared.get("Default")
        value = wanted.get(name, None if default is None else as_text(default))
        secret = as_text(declared.get("NoEcho", "false")).lower() == "true"
        rows.append(Parameter(name, (deployed or {}).get(name), value, secret))
    gone = [name for name in deployed or {} if name not in templates.parameters]
    return rows + [Parameter(name, (deployed or {})[name], None, secret=False) for name in gone]


def as_text(value: Any) -> str:
    """A default as CloudFormation has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def missing(templates: Templates, wanted: dict[str, str]) -> list[str]:
    """Parameters that have neither a value nor a default."""
    return [name for name, declared in templates.parameters.items() if name not in wanted and "Default" not in declared]
