"""Reads a CloudFormation template in YAML as CloudFormation does, and refuses what others would read otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

#: Short tags whose long form is not `Fn::` and the tag.
_PLAIN_TAGS = {"Ref": "Ref", "Condition": "Condition"}
_SHORT_TAGS = (
    *_PLAIN_TAGS, "And", "Base64", "Cidr", "Equals", "FindInMap", "GetAtt", "GetAZs", "If", "ImportValue", "Join",
    "Length", "Not", "Or", "Select", "Split", "Sub", "ToJsonString", "Transform",
)  # fmt: skip


class DocumentError(Exception):
    """A file that can't be read as meant: where, and what to write instead."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")


class _Loader(yaml.SafeLoader):
    """YAML without aliases, repeated keys and scalars that are not what they look like."""

    path = Path()

    def refuse(self, mark: yaml.Mark | None, problem: str) -> DocumentError:
        return DocumentError(self.path, mark.line + 1 if mark else 1, problem)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs have no types
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.refuse(event.start_mark, "CloudFormation takes no anchors and aliases: write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if not isinstance(name, str):
                raise self.refuse(key.start_mark, "a key is a word")
            if name in seen:
                raise self.refuse(key.start_mark, f"{name} stands here twice: the second would replace the first")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _number(loader: _Loader, node: yaml.ScalarNode) -> int:
    # YAML 1.1 reads 03:00 in base 60 and 010 in base 8.
    value = loader.construct_scalar(node)
    if str(value) != "0" and (not value.lstrip("-").isdecimal() or value.lstrip("-").startswith("0")):
        raise loader.refuse(node.start_mark, f"{value} is read as a number in another base: write it in quotes")
    return int(value)


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    value = loader.construct_scalar(node)
    if value not in ("true", "false"):
        raise loader.refuse(node.start_mark, f"{value} is read as true or false: write that, or put it in quotes")
    return bool(value == "true")


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if suffix not in _SHORT_TAGS:
        raise loader.refuse(node.start_mark, f"!{suffix} is not a function of CloudFormation")
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {_PLAIN_TAGS.get(suffix, f"Fn::{suffix}"): value}


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:bool", _truth)
# A date stays the word that it is: a policy's Version.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: str(node.value))
_Loader.add_multi_constructor("!", _short_tag)


def read(path: Path) -> Any:
    """The file's only document, with CloudFormation's short tags in their long form."""
    return parse(path.read_text(encoding="utf-8"), path)


def parse(text: str, path: Path) -> Any:
    """As `read`, of text; `path` is for messages."""
    loader = _Loader(text)
    loader.path = path
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise loader.refuse(mark, error.problem or "not YAML") from error
    finally:
        loader.dispose()
