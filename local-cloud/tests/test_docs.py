"""The pages that name parts of the templates, and the estimate, against what they speak of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
INFRA = PROJECT / "infra"


class _Loader(yaml.SafeLoader):
    """YAML whose short forms of CloudFormation's functions are read as their arguments."""


def _arguments(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _arguments)


def template(name: str) -> dict[str, Any]:
    """The template that a page calls so."""
    paths = [INFRA / "template.yaml"] if name == "root" else [INFRA / folder / f"{name}.yaml" for folder in ("stacks", "iam")]
    found = [path for path in paths if path.exists()]
    assert len(found) == 1, f"no template is called {name}"
    return yaml.load(found[0].read_text(), _Loader)


def rows(page: str, header: str) -> list[list[str]]:
    """The cells of the rows of every table of a page that begins so."""
    found, inside = [], False
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith(header):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def test_each_resource_of_the_pci_map_exists() -> None:
    named = re.findall(r"`([a-z-]+):([A-Z]\w+)`", (DOCS / "pci.md").read_text())
    assert len(named) > 80
    missing = [f"{stack}:{name}" for stack, name in named if name not in template(stack)["Resources"]]
    assert not missing


def test_the_parameters_are_those_of_the_root() -> None:
    declared = template("root")["Parameters"]
    told = {row[0].strip("`"): row[1] for row in rows("deployment.md", "| parameter |")}
    assert told.keys() == declared.keys()
    defaults = {name: str(each["Default"]) if "Default" in each else None for name, each in declared.items()}
    shown = {name: None if value == "*" else value.strip("`").replace('""', "") for name, value in told.items()}
    assert shown == defaults


def test_the_estimate_adds_up() -> None:
    group, sums, total = "", {}, None
    stated: dict[str, float] = {}
    for what, quantity, _unit, price, month in rows("cost.md", "| what | quantity |"):
        amount = float(month.strip("*").replace(",", ""))
        if what == "**in all**":
            total = amount
        elif what.startswith("**"):
            group, stated[what] = what, amount
        else:
            computed = float(quantity.replace(",", "")) * float(price)
            assert amount == pytest.approx(computed, abs=0.006), what
            sums[group] = sums.get(group, 0.0) + amount
    assert stated == pytest.approx(sums, abs=0.01)
    assert total == pytest.approx(sum(sums.values()), abs=0.01)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), f"{page} links to {target}"
