"""Serves MiniStack on loopback and ends cleanly, whatever its threads are waiting for."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import uvicorn
import uvloop
from ministack import app

from cutover_cloud import authorizations, control
from cutover_cloud.alarms import engine
from cutover_cloud.dms import feed
from cutover_cloud.dns import checks
from cutover_cloud.elb import health
from cutover_cloud.rotation import driver
from cutover_cloud.sandbox.executor import Executor
from cutover_cloud.settings import Settings

log = logging.getLogger("cutover_cloud")

# A connection is kept longer than any client idles, so that none is closed under a request.
KEEP_ALIVE_SECONDS = 300
PARENT_SECONDS = 0.5
# Alarms, load balancers' and Route 53's health checks, rotations that are due, metrics of replication.
FOREVER = (engine.run, health.run, checks.run, driver.run, feed.run)


def log_to_file(settings: Settings) -> None:
    """Everything that the emulator logs goes to the run folder."""
    handler = logging.FileHandler(settings.log_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def _uvicorn(settings: Settings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            control.wrap(app.app, settings.region),
            host="127.0.0.1",
            port=settings.port,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            backlog=1024,
        )
    )


async def _parent_ended() -> None:
    """Return once another process has become the parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_SECONDS)


async def _serve(settings: Settings, executor: Executor) -> int:
    loop = asyncio.get_running_loop()
    executor.bind(loop)
    stop = asyncio.Event()
    server = _uvicorn(settings)
    serving = asyncio.create_task(server.serve())
    background = [asyncio.create_task(forever()) for forever in FOREVER]
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    # After uvicorn's own handlers, which would wait for every open request.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = {serving, asyncio.create_task(stop.wait())}
    if settings.with_parent:
        waiting.add(asyncio.create_task(_parent_ended()))
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in background:
        task.cancel()
    await executor.kill_all()
    return 1 if serving.done() else 0


def run(settings: Settings, executor: Executor) -> None:
    """Serve until SIGTERM or SIGINT. Does not return."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_serve(settings, executor))
        authorizations.write(settings.run_dir)
        log.info("ended with %d", code)
        logging.shutdown()
        # Nothing is kept, and a thread that waits for a hung custom resource would hold up a normal exit.
        os._exit(code)
