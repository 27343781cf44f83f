"""What functions print: a file per function, a CloudWatch log stream, and the metrics embedded in it.

Also the AWS/Lambda metrics of each invocation, which have `ExecutedVersion` where MiniStack's lack it.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs, lambda_svc

from cutover_cloud import emf
from cutover_cloud.metrics import store

# Lines kept for `LogType: Tail`, which returns 4 KB.
TAIL_LINES_MAX = 200
# Events kept per log stream. The file has them all.
STREAM_EVENTS_MAX = 20_000

_files: dict[str, TextIO] = {}
_directory: Path | None = None
_running: dict[tuple[str, str], set[Invocation]] = {}


class Invocation:
    """The lines of one version that appeared while an invocation ran."""

    def __init__(self, key: tuple[str, str]) -> None:
        self._key = key
        self._lines: deque[str] = deque(maxlen=TAIL_LINES_MAX)
        _running.setdefault(key, set()).add(self)

    def add(self, line: str) -> None:
        """Remember a line."""
        self._lines.append(line)

    def text(self) -> str:
        """All remembered lines."""
        return "\n".join(self._lines)

    def end(self) -> None:
        """Stop listening."""
        _running[self._key].discard(self)


def open_in(directory: Path) -> None:
    """Name the folder that holds `<function>.log`."""
    global _directory
    _directory = directory


def begin(config: dict[str, Any]) -> Invocation:
    """Start to listen for an invocation's lines."""
    return Invocation(_key(config))


def take(config: dict[str, Any], scope: tuple[str, str], line: str) -> None:
    """A line that the function printed: to the file, to the log stream, and its metrics to CloudWatch."""
    write(config, line)
    for invocation in _running.get(_key(config), ()):
        invocation.add(line)
    with request_scope(*scope):
        _to_stream(config, line)
        for datum in emf.parse(line):
            for value in datum.values:
                store.record(datum.namespace, datum.name, datum.dimensions, value, datum.unit, datum.timestamp_seconds)


def write(config: dict[str, Any], line: str) -> None:
    """Append a line to the function's file, flushed, since tests scan it while it grows."""
    name = config["FunctionName"]
    file = _files.get(name)
    if file is None:
        if _directory is None:
            return
        file = _files[name] = (_directory / f"{name}.log").open("a", encoding="utf-8")
    file.write(line + "\n")
    file.flush()


def count_invocation(config: dict[str, Any], duration_ms: float, *, error: bool, throttled: bool) -> None:
    """The AWS/Lambda metrics of one invocation, by function, by resource, and by resource and version."""
    name = config["FunctionName"]
    by_name = {"FunctionName": name}
    sets = [by_name]
    qualifier = config.get("FunctionArn", "").split(":")[7:8]
    if qualifier:
        by_resource = by_name | {"Resource": f"{name}:{qualifier[0]}"}
        sets += [by_resource, by_resource | {"ExecutedVersion": config.get("Version", "$LATEST")}]
    now = time.time()
    for dimensions in sets:
        store.record("AWS/Lambda", "Throttles", dimensions, float(throttled), "Count", now)
        if not throttled:
            store.record("AWS/Lambda", "Invocations", dimensions, 1.0, "Count", now)
            store.record("AWS/Lambda", "Errors", dimensions, float(error), "Count", now)
            store.record("AWS/Lambda", "Duration", dimensions, duration_ms, "Milliseconds", now)


def group_name(config: dict[str, Any]) -> str:
    """The log group that AWS would write to."""
    chosen = (config.get("LoggingConfig") or {}).get("LogGroup")
    return chosen or f"/aws/lambda/{config['FunctionName']}"


def stream_name(config: dict[str, Any]) -> str:
    """One stream per version and day; AWS has one per environment."""
    day = time.strftime("%Y/%m/%d", time.gmtime())
    return f"{day}/[{config.get('Version', '$LATEST')}]{'0' * 32}"


def _key(config: dict[str, Any]) -> tuple[str, str]:
    return config["FunctionName"], config.get("Version", "$LATEST")


def _to_stream(config: dict[str, Any], line: str) -> None:
    now_ms = int(time.time() * 1000)
    name = group_name(config)
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        group = {
            "arn": cloudwatch_logs._make_group_arn(name),
            "creationTime": now_ms,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
        cloudwatch_logs._log_groups[name] = group
    stream = group["streams"].get(stream_name(config))
    if stream is None:
        stream = {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now_ms,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        }
        group["streams"][stream_name(config)] = stream
    events = stream["events"]
    if len(events) >= STREAM_EVENTS_MAX:
        del events[: STREAM_EVENTS_MAX // 2]
    cloudwatch_logs._append_log_events(stream, [{"timestamp": now_ms, "message": line, "ingestionTime": now_ms}])


def install(directory: Path) -> None:
    """Write to `directory`, and stop MiniStack from making a log stream per invocation."""
    open_in(directory)
    lambda_svc._emit_lambda_logs = lambda *_arguments, **_options: None
