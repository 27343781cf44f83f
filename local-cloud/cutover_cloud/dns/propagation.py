"""A change takes its time to reach the name servers: until then GetChange says PENDING, and names resolve as before."""

from __future__ import annotations

import time
from typing import Any

from ministack.core.responses import AccountScopedDict
from ministack.services import route53

# Older states of a zone than this many are forgotten; each lives for seconds.
STATES_MAX = 1000
Record = dict[str, Any]


class Records(AccountScopedDict):
    """The records of each zone, and what the name servers still answer."""

    __slots__ = ("_seconds", "_states")

    def __init__(self, seconds: float, existing: AccountScopedDict) -> None:
        super().__init__()
        self._data = existing._data
        self._seconds = seconds
        # Account and zone -> the states on their way, oldest first, with the time from which each counts.
        self._states: dict[Any, list[tuple[float, list[Record]]]] = {}

    def __setitem__(self, zone_id: str, records: list[Record]) -> None:
        known = self._states.setdefault(self._scoped(zone_id), [])
        # A new zone answers at once.
        known.append((time.monotonic() + (self._seconds if known else 0.0), list(records)))
        del known[:-STATES_MAX]
        super().__setitem__(zone_id, records)

    def put_back(self, zone_id: str, records: list[Record]) -> None:
        """Undo the last write."""
        self._states[self._scoped(zone_id)].pop()
        super().__setitem__(zone_id, records)

    def answered(self, zone_id: str) -> list[Record]:
        """The records that the name servers have by now."""
        known = self._states.get(self._scoped(zone_id), [])
        while len(known) > 1 and known[1][0] <= time.monotonic():
            known.pop(0)
        return known[0][1] if known else []


def install(seconds: float) -> None:
    """Let changes take `seconds`."""
    create, build = route53._new_change, route53._build_change_info_el

    def new_change(comment: str = "") -> dict[str, Any]:
        change = create(comment)
        change["_insync_at"] = time.monotonic() + seconds
        return change

    def get_change(change_id: str) -> Any:
        change = route53._changes.get(change_id)
        if change is None:
            message = f"A change with the ID {change_id} does not exist."
            return route53._error_response("NoSuchChange", message, 404)
        if time.monotonic() >= change["_insync_at"]:
            change["status"] = "INSYNC"
        return route53._xml_response("GetChangeResponse", lambda root: build(root, change))

    route53._records = Records(seconds, route53._records)
    route53._new_change = new_change
    route53._get_change = get_change
