"""What payments cost a month and what they meet as they grow: the tables of docs/scale.md.

`python docs/benchmarks/scale.py` writes the tables anew; with `--check` it fails if they are not what it would write. What
is measured comes from `payment.json` beside this file, written by `make bench`; everything else is an assumption with
its source, in this file. Prices are list prices of us-east-1, without free tiers and discounts.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "scale.md"
MEASURED = HERE / "payment.json"

HOURS_A_MONTH = 730
PAYMENTS_AN_HOUR = 50_000
FACTORS = (1, 10, 100)
#: The busiest minutes of a day beside its average.
PEAK = 4

# ---------------------------------------------------------------- what a payment is

#: Milliseconds of a call within the region, median. DynamoDB says "single-digit"; S3 says 100 to 200 for small objects;
#: Aurora commits to a quorum of six copies in three zones. To be replaced by what an account shows.
CALL_MS = {"claim": 4.0, "insert": 5.0, "object": 100.0, "complete": 4.0}
#: Own time of a warm payment where nothing was measured, in milliseconds.
OWN_MS_ASSUMED = 2.0
#: What the slow payments take, as a multiple of the median: of a log-normal distribution its 99th percentile.
P99_TO_P50 = 4.0
#: `PaymentMemoryMiB` of the template.
MEMORY_MB = 512
#: Write units: the claim makes an item of less than 1 KB, the completion adds the answer to it; both change a key of the
#: sparse index of leases, once in and once out.
WRITE_UNITS = {"claim": 1, "complete": 2, "lease index": 2}
#: Bytes of a log object, of a ledger row with its indexes, of a session, and of a payment's log lines (its own and
#: Lambda's). A session lives 72 hours.
OBJECT_BYTES, ROW_BYTES, SESSION_BYTES, LOG_BYTES = 700, 900, 1_300, 1_900
SESSION_HOURS = 72
#: Reads and writes of Aurora's storage that a row costs, once its pages are in memory.
ROW_IOS = 2

# ---------------------------------------------------------------- prices, in dollars

LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20e-6
#: REST API: the first 333 million, the next 667 million, then up to 20 billion.
API_REQUEST = ((333e6, 3.50e-6), (667e6, 2.80e-6), (19e9, 2.38e-6), (math.inf, 1.51e-6))
WRITE_UNIT = 0.625e-6
DYNAMODB_GB_MONTH = 0.25 + 0.20  # with point-in-time recovery
S3_PUT = 5e-6
S3_GB_MONTH = 0.023
#: An instance of the template's default class, in both zones.
AURORA_HOUR = 2 * 0.276
AURORA_GB_MONTH = 0.10
AURORA_IO = 0.20e-6
LOGS_GB = 0.50

# ---------------------------------------------------------------- limits, per second or at once

LIMITS: tuple[tuple[str, float, str, str], ...] = (
    ("Lambda, concurrent executions of an account", 1_000, "concurrency", "quota, can be raised"),
    ("API Gateway, requests of an account", 10_000, "payments", "quota, can be raised"),
    ("DynamoDB, write units of a table on demand", 40_000, "write units", "quota, can be raised"),
    ("DynamoDB, writes of one lease shard (16 of them)", 1_000, "shard units", "hot key: more shards (`domain::payment::sweep::SHARDS`)"),
    ("S3, writes of one prefix (a day's)", 3_500, "payments", "hot prefix: S3 splits it as it sees load"),
    ("Aurora MySQL, connections of db.r7g.large", 1_000, "concurrency", "a larger class"),
)


@dataclass(frozen=True)
class Load:
    """A load, and what it asks for at its peak."""

    factor: int
    milliseconds: float

    @property
    def per_month(self) -> float:
        return PAYMENTS_AN_HOUR * self.factor * HOURS_A_MONTH

    @property
    def per_second(self) -> float:
        return PAYMENTS_AN_HOUR * self.factor / 3600

    @property
    def peak(self) -> float:
        return self.per_second * PEAK

    def asks(self, what: str) -> float:
        """What the peak asks of a limit."""
        return {
            "payments": self.peak,
            "write units": self.peak * sum(WRITE_UNITS.values()),
            "shard units": self.peak * WRITE_UNITS["lease index"] / 16,
            "concurrency": self.peak * self.mean_seconds,
        }[what]

    @property
    def mean_seconds(self) -> float:
        """The mean of the log-normal distribution is above its median."""
        return self.milliseconds * math.exp(sigma() ** 2 / 2) / 1000


def sigma() -> float:
    """Of the logarithm of durations: the 99th percentile is 2.326 of it above the median."""
    return math.log(P99_TO_P50) / 2.326


def own_ms() -> tuple[float, str]:
    """Own time of a warm payment beside its calls, and where the figure is from."""
    if not MEASURED.exists():
        return OWN_MS_ASSUMED, "assumed: `make bench` has not been run for this page"
    report = json.loads(MEASURED.read_text())
    rows = [row for row in report["rows"] if row["subject"] == "cutover"]
    row = min(rows, key=lambda row: row["delay_ms"])
    return float(row["warm_p50_ms"]), f"measured: `payment.json`, warm median at {row['delay_ms']:g} ms a call"


def duration_ms() -> float:
    """Claim, then ledger and log at once, then completion; and what is ours."""
    calls = CALL_MS["claim"] + max(CALL_MS["insert"], CALL_MS["object"]) + CALL_MS["complete"]
    return calls + own_ms()[0]


def tiered(count: float, tiers: tuple[tuple[float, float], ...]) -> float:
    cost = 0.0
    for size, price in tiers:
        part = min(count, size)
        cost += part * price
        count -= part
    return cost


def bill(load: Load) -> dict[str, float]:
    """Dollars of a month, by item."""
    n, gb = load.per_month, 1e9
    return {
        "S3: one PUT each, and a month's objects": n * S3_PUT + n * OBJECT_BYTES / gb * S3_GB_MONTH,
        "API Gateway, REST": tiered(n, API_REQUEST),
        "DynamoDB, on demand": n * sum(WRITE_UNITS.values()) * WRITE_UNIT
        + load.per_second * 3600 * SESSION_HOURS * SESSION_BYTES / gb * DYNAMODB_GB_MONTH,
        "Aurora, two instances, I/O, a month's rows": AURORA_HOUR * HOURS_A_MONTH
        + n * ROW_IOS * AURORA_IO
        + n * ROW_BYTES / gb * AURORA_GB_MONTH,
        "Lambda: time": n * load.mean_seconds * MEMORY_MB / 1024 * LAMBDA_GB_SECOND,
        "Lambda: requests": n * LAMBDA_REQUEST,
        "CloudWatch Logs, metrics in them": n * LOG_BYTES / gb * LOGS_GB,
    }


# ---------------------------------------------------------------- sandboxes, simulated

#: Lambda does not say how long an idle sandbox is kept; minutes are usual.
IDLE_SECONDS = 300.0
SIMULATED_SECONDS = 900


@dataclass(frozen=True)
class Sandboxes:
    most_busy: int
    most_alive: int
    cold_share: float


def arrivals(per_second: float, dice: random.Random) -> Iterator[float]:
    """Moments of independent payments: the average, then the peak for the middle third, then the average."""
    now = 0.0
    while True:
        at_peak = SIMULATED_SECONDS / 3 <= now < SIMULATED_SECONDS * 2 / 3
        now += dice.expovariate(per_second * (PEAK if at_peak else 1))
        if now >= SIMULATED_SECONDS:
            return
        yield now


def simulate(load: Load, seed: int = 1) -> Sandboxes:
    """Each payment takes the sandbox that was used last, or starts one: so the idle ones grow old and end."""
    dice = random.Random(seed)
    busy: list[float] = []
    idle: list[float] = []
    most_busy = most_alive = cold = count = 0
    for now in arrivals(load.per_second, dice):
        while busy and busy[0] <= now:
            idle.append(heapq.heappop(busy))
        while idle and idle[0] < now - IDLE_SECONDS:
            idle.pop(0)
        if idle:
            idle.pop()
        else:
            cold += 1
        seconds = dice.lognormvariate(math.log(load.milliseconds / 1000), sigma())
        heapq.heappush(busy, now + seconds)
        count += 1
        most_busy = max(most_busy, len(busy))
        most_alive = max(most_alive, len(busy) + len(idle))
    return Sandboxes(most_busy, most_alive, cold / count)


# ---------------------------------------------------------------- tables


def table(head: list[str], rows: list[list[str]]) -> str:
    align = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, align, *rows])


def duration_table(loads: list[Load]) -> str:
    own, source = own_ms()
    rows = [[f"{name}", f"{ms:g}", "assumed"] for name, ms in CALL_MS.items()]
    rows.append(["own time", f"{own:.2f}", source])
    rows.append(["**a payment, median**", f"**{loads[0].milliseconds:.1f}**", "claim + the longer of insert and object + complete + own time"])
    rows.append(["a payment, mean", f"{loads[0].mean_seconds * 1000:.1f}", f"log-normal, its 99th percentile {P99_TO_P50:g} times the median"])
    return table(["part", "ms", "source"], rows)


def bill_table(loads: list[Load]) -> str:
    bills = [bill(load) for load in loads]
    head = ["dollars a month"] + [f"{load.factor} x: {PAYMENTS_AN_HOUR * load.factor:,} an hour" for load in loads]
    rows = [[item] + [f"{of[item]:,.0f}" for of in bills] for item in bills[0]]
    rows.append(["**all**"] + [f"**{sum(of.values()):,.0f}**" for of in bills])
    per = [f"{sum(of.values()) / load.per_month * 1000:.3f}" for of, load in zip(bills, loads, strict=True)]
    rows.append(["a thousand payments"] + per)
    share = [f"{of['Lambda: time'] / sum(of.values()):.1%}" for of in bills]
    rows.append(["share of Lambda's time"] + share)
    return table(head, rows)


def limit_table(loads: list[Load]) -> str:
    head = ["limit", "at most"] + [f"{load.factor} x, peak" for load in loads] + ["reached at", "and then"]
    rows = []
    for name, most, what, then in LIMITS:
        asked = [load.asks(what) for load in loads]
        reached = f"{most / asked[0]:,.0f} x"
        rows.append([name, f"{most:,.0f}"] + [f"{a:,.1f}" if a < 10 else f"{a:,.0f}" for a in asked] + [reached, then])
    return table(head, rows)


def sandbox_table(loads: list[Load]) -> str:
    rows = []
    for load in loads:
        seen = simulate(load)
        rows.append(
            [
                f"{load.factor} x",
                f"{load.per_second:,.0f} / {load.peak:,.0f}",
                f"{seen.most_busy:,}",
                f"{seen.most_alive:,}",
                f"{seen.cold_share:.3%}",
            ]
        )
    head = ["load", "payments a second, average / peak", "busy at once", "sandboxes = database connections", "cold"]
    return table(head, rows)


TABLES: dict[str, Callable[[list[Load]], str]] = {
    "duration": duration_table,
    "bill": bill_table,
    "limits": limit_table,
    "sandboxes": sandbox_table,
}


def filled(page: str) -> str:
    """The page with each table between its marks."""
    loads = [Load(factor, duration_ms()) for factor in FACTORS]
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: by scale.py -->\n", f"\n<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{PAGE} lacks the marks of the table {name!r}")
        page = before + begin + make(loads) + end + after
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    check = parser.parse_args().check
    page = PAGE.read_text()
    wanted = filled(page)
    if check:
        if page != wanted:
            print(f"{PAGE} is not what scale.py computes: run `python docs/benchmarks/scale.py`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
