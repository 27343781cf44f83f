"""The local cloud: started if none answers, and ended if it was started here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.refusal import Refusal
from deploy.screen import Screen
from deploy.settings import Settings

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
LOOK_SECONDS = 0.1
# So that what runs here by the minute can be watched.
TICK_SECONDS = "5"


def endpoint(settings: Settings) -> str:
    """Where every service of it answers."""
    return f"http://127.0.0.1:{settings.local_port}"


def answers(settings: Settings) -> bool:
    """Whether a local cloud listens there. Raises Refusal if something else does."""
    try:
        with _opener().open(f"{endpoint(settings)}/_ministack/ready", timeout=3) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        raise Refusal(
            f"port {settings.local_port} is taken by something that is no local cloud (HTTP {error.code}): "
            "LOCAL_PORT=4567 and the like takes another"
        ) from error
    except OSError:
        return False


def start(settings: Settings, screen: Screen) -> str:
    """The endpoint of the running local cloud, started if need be. Raises Refusal."""
    if answers(settings):
        return endpoint(settings)
    folder = settings.cloud_dir
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "start.log"
    command = [
        sys.executable, "-m", "cutover_cloud", "--port", str(settings.local_port), "--run-dir", str(folder),
        "--enforce-permissions", "--tick-seconds", TICK_SECONDS, "--region", settings.region or "us-east-1",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=settings.project / "local-cloud", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS_MAX
    while not answers(settings):
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise Refusal(f"the local cloud ended at its start: {last[0] if last else 'it said nothing'} ({log})")
        if time.monotonic() > until:
            process.terminate()
            raise Refusal(f"the local cloud did not answer in {START_SECONDS_MAX:.0f} s; its log is {folder}/cloud.log")
        time.sleep(LOOK_SECONDS)
    pid_file(settings).write_text(f"{process.pid}\n")
    screen.note(f"started a local cloud at {endpoint(settings)} (process {process.pid}, log {folder}/cloud.log)")
    return endpoint(settings)


def recorded(settings: Settings) -> list[str]:
    """Types of the deployed resources that the local cloud writes down and does nothing with."""
    request = urllib.request.Request(
        f"{endpoint(settings)}/_cutover/recorded", json.dumps({"region": settings.region}).encode(), method="POST"
    )
    try:
        with _opener().open(request, timeout=10) as response:
            found = json.loads(response.read())
    except (OSError, ValueError) as error:
        raise Refusal(f"the local cloud does not say what it only records: {error}") from error
    return sorted({str(resource["type"]) for resource in found["recorded"]})


def _opener() -> urllib.request.OpenerDirector:
    # No proxy: it is this machine.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pid_file(settings: Settings) -> Path:
    """Names the process that was started here."""
    return settings.cloud_dir / "pid"


def stop(settings: Settings, screen: Screen) -> None:
    """End the local cloud that `start` started. One that was started elsewhere is left alone."""
    try:
        pid = int(pid_file(settings).read_text())
    except (OSError, ValueError):
        if answers(settings):
            screen.note("the local cloud was not started by `make deploy`: it is left running")
        return
    pid_file(settings).unlink()
    if not is_cloud(pid, settings):
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS_MAX
    while is_cloud(pid, settings):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            screen.warn(f"the local cloud did not end in {STOP_SECONDS_MAX:.0f} s and was killed")
            return
        time.sleep(LOOK_SECONDS)
    screen.note(f"ended the local cloud (process {pid})")


def is_cloud(pid: int, settings: Settings) -> bool:
    """Whether the process is the local cloud of this port: a number may be another's by now."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, IndexError):
        return False
    return state != "Z" and b"cutover_cloud" in words and str(settings.local_port).encode() in words
