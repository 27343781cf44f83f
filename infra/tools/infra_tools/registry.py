"""What CloudFormation's registry says of a resource type, from the schemas that come with cfn-lint."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

#: The region that the templates are for; a type's schema may differ elsewhere.
REGION = "us-east-1"


@cache
def _files() -> dict[str, str]:
    listing = resources.files("cfnlint") / "data" / "schemas" / "providers" / f"{REGION}.json"
    files: dict[str, str] = json.loads(listing.read_text(encoding="utf-8"))
    return files


@cache
def schema(type_name: str) -> dict[str, Any] | None:
    """The type's schema; none for a type of ours or one that the region lacks."""
    name = _files().get(type_name)
    if name is None:
        return None
    path = resources.files("cfnlint") / "data" / "schemas" / "resources" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def detects_drift(type_name: str) -> bool:
    """Whether drift detection looks at the type: it reads a resource by the type's read handler."""
    found = schema(type_name)
    return found is not None and "read" in found.get("handlers", {})


def tag_property(type_name: str) -> str | None:
    """The property that takes the tags, for a type that takes any."""
    found = schema(type_name)
    if found is None:
        return None
    tagging = found.get("tagging")
    if tagging is None:
        return "Tags" if "Tags" in found["properties"] else None
    if not tagging.get("taggable"):
        return None
    return str(tagging.get("tagProperty", "/properties/Tags")).rsplit("/", 1)[-1]
