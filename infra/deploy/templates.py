"""The template and those that it nests, as they lie in the checkout, and the prefix that they are uploaded under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.refusal import Refusal

ROOT = "template.yaml"
FOLDERS = ("stacks", "iam")
# What CloudFormation takes from a bucket.
TEMPLATE_BYTES_MAX = 1_000_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML whose `!Ref` and the like are read as their bare values: only names and constraints are looked at."""


def _bare(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _bare)


@dataclass(frozen=True)
class Templates:
    """Path below `infra` -> contents."""

    files: dict[str, bytes]

    @property
    def prefix(self) -> str:
        """Another content, another prefix: what a deployed stack was made from stays as it was."""
        digest = hashlib.sha256()
        for path, contents in sorted(self.files.items()):
            digest.update(f"{path}\0{len(contents)}\0".encode() + contents)
        return f"templates/{digest.hexdigest()[:16]}"

    def parsed(self, path: str = ROOT) -> dict[str, Any]:
        """A template as a mapping."""
        return parse(self.files[path])

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The root's parameters."""
        found: dict[str, dict[str, Any]] = self.parsed().get("Parameters", {})
        return found

    def resources(self, path: str) -> int:
        """How many resources a template declares."""
        return len(self.parsed(path).get("Resources", {}))


@cache
def parse(contents: bytes) -> dict[str, Any]:
    """A template as a mapping, tags put aside. Raises Refusal."""
    try:
        found = yaml.load(contents, Loader=_Loader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        raise Refusal(f"a template is no YAML: {error}") from error
    return found if isinstance(found, dict) else {}


def load(infra: Path) -> Templates:
    """The root and all that it can nest. Raises Refusal."""
    paths = [infra / ROOT, *(path for folder in FOLDERS for path in sorted((infra / folder).glob("*.yaml")))]
    try:
        files = {path.relative_to(infra).as_posix(): path.read_bytes() for path in paths}
    except OSError as error:
        raise Refusal(f"a template can't be read: {error}") from error
    for name, contents in files.items():
        if len(contents) > TEMPLATE_BYTES_MAX:
            raise Refusal(f"{name} has {len(contents):,} bytes: CloudFormation takes {TEMPLATE_BYTES_MAX:,}")
    return Templates(files)
