"""The execution environments of one function version: who is free, who waits, and when another is started."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from cutover_cloud.sandbox.environment import Launch, Sandbox, SandboxFailure

# Cold starts are CPU-bound: more at once than this only delays each of them, and all that runs, on a small machine.
STARTING_MAX = 2
# AWS starts another environment at once. On a small machine that turns a short stall into a storm of cold starts,
# which prolongs it; most invocations are served by a freed environment within this time.
PATIENCE_SECONDS = 0.05
# The loop's clock counts milliseconds: look again a little later, so that the patience is over for certain.
LOOK_AGAIN_SECONDS = PATIENCE_SECONDS + 0.005
# An environment idle for longer is ended, except the last one of its version.
IDLE_SECONDS_MAX = 300.0


class Pool:
    """Lends environments, most recently used first, so that a quiet function keeps few of them busy."""

    def __init__(self, launch: Callable[[], Launch], size_max: int) -> None:
        self._launch = launch
        self._size_max = size_max
        self._idle: list[Sandbox] = []
        self._all: set[Sandbox] = set()
        self._starting: set[asyncio.Task] = set()
        # Who waits, and since when.
        self._waiters: deque[tuple[asyncio.Future[Sandbox], float]] = deque()
        self._retired = False

    @property
    def size(self) -> int:
        """Environments that live or are being started."""
        return len(self._all)

    @property
    def running(self) -> bool:
        """Whether any process has not ended."""
        return any(sandbox.running for sandbox in self._all)

    async def acquire(self) -> Sandbox:
        """A free environment: an idle one, or whichever of a new one and a freed one comes first."""
        while self._idle:
            sandbox = self._idle.pop()
            if sandbox.alive:
                return sandbox
            self._all.discard(sandbox)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Sandbox] = loop.create_future()
        self._waiters.append((waiter, loop.time()))
        if self.size:
            loop.call_later(LOOK_AGAIN_SECONDS, self._start_where_needed)
        else:
            self._start_where_needed()
        return await waiter

    def release(self, sandbox: Sandbox) -> None:
        """Give an environment back; a dead or retired one is dropped."""
        if not sandbox.alive or sandbox.retired:
            self._drop(sandbox)
            self._start_where_needed()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(sandbox)
            return
        self._idle.append(sandbox)
        self._reap()

    def retire(self) -> None:
        """No more invocations: idle environments end now, busy ones when they are given back."""
        self._retired = True
        for sandbox in self._all:
            sandbox.retired = True
        for sandbox in self._idle:
            self._drop(sandbox)
        self._idle.clear()

    def kill(self) -> None:
        """End every process of this version now."""
        for sandbox in list(self._all):
            sandbox.kill()

    def _start_where_needed(self) -> None:
        loop = asyncio.get_running_loop()
        # The last environment of a version may have died: then nobody is going to be freed.
        patience = PATIENCE_SECONDS if self.size else 0.0
        waiting = sum(not waiter.done() and loop.time() - since >= patience for waiter, since in self._waiters)
        while len(self._starting) < min(waiting, STARTING_MAX) and self.size < self._size_max:
            sandbox = self._make()
            if sandbox is None:
                return
            task = loop.create_task(self._start(sandbox))
            self._starting.add(task)
            task.add_done_callback(self._started)

    def _make(self) -> Sandbox | None:
        """A new environment that is counted from now on; a package that cannot be unpacked fails one waiter."""
        try:
            sandbox = Sandbox(self._launch())
        except Exception as error:
            waiter = self._next_waiter()
            if waiter is not None:
                waiter.set_exception(SandboxFailure("Runtime.Unknown", str(error)))
            return None
        sandbox.retired = self._retired
        self._all.add(sandbox)
        return sandbox

    async def _start(self, sandbox: Sandbox) -> Sandbox:
        try:
            await sandbox.start()
        except BaseException:
            self._drop(sandbox)
            raise
        return sandbox

    def _started(self, task: asyncio.Task[Sandbox]) -> None:
        self._starting.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is None:
            self.release(task.result())
        else:
            waiter = self._next_waiter()
            if waiter is not None:
                known = isinstance(failure, SandboxFailure)
                waiter.set_exception(failure if known else SandboxFailure("Runtime.Unknown", str(failure)))
        self._start_where_needed()

    def _next_waiter(self) -> asyncio.Future[Sandbox] | None:
        while self._waiters:
            waiter, _since = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _drop(self, sandbox: Sandbox) -> None:
        self._all.discard(sandbox)
        with suppress(ProcessLookupError):
            sandbox.kill()

    def _reap(self) -> None:
        now = time.monotonic()
        while len(self._idle) > 1 and now - self._idle[0].last_used > IDLE_SECONDS_MAX:
            self._drop(self._idle.pop(0))
