"""Cluster parameters that a replication needs, with Aurora's defaults where a group does not set them."""

from __future__ import annotations

from typing import Any

from ministack.services import rds

# Family's beginning -> name, default, apply type, data type.
DEFAULTS = {
    "aurora-mysql": [("binlog_format", "OFF", "static", "string"), ("gtid-mode", "OFF_PERMISSIVE", "static", "string")],
    "aurora-postgresql": [
        ("rds.logical_replication", "0", "static", "boolean"),
        ("rds.force_ssl", "1", "dynamic", "boolean"),
    ],
}


def install() -> None:
    """Add them to the defaults of their families."""
    defaults = rds._default_parameters_for_family

    def with_replication(family: str) -> list[dict[str, Any]]:
        known = list(defaults(family))
        names = {parameter["name"] for parameter in known}
        for beginning, added in DEFAULTS.items():
            if not family.startswith(beginning):
                continue
            known += [
                {"name": name, "default": value, "apply_type": apply_type, "data_type": data_type, "modifiable": True}
                for name, value, apply_type, data_type in added
                if name not in names
            ]
        return known

    rds._default_parameters_for_family = with_replication
