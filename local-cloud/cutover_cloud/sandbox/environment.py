"""One execution environment: a function's process, its Runtime API server and its output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cutover_cloud.sandbox.runtime_api import Event, RuntimeApiConnection

# AWS allows the Init phase 10 s and then runs it again under the function's timeout. Here it is one wait.
INIT_SECONDS_MAX = 10.0
# A response that was sent just before the process ended may be read after its end is noticed.
EXIT_GRACE_SECONDS = 0.05
# setpriv makes the kernel end the process with the emulator, however the emulator ends.
_SETPRIV = shutil.which("setpriv")


class SandboxFailure(Exception):
    """The environment failed, not the handler. `error_type` is the name that AWS reports."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True)
class Launch:
    """All that is needed to start an environment."""

    code_dir: str
    variables: dict[str, str]
    timeout_seconds: float
    on_line: Callable[[str], None]


@dataclass
class Outcome:
    """The function's own answer, as it was sent."""

    is_error: bool
    body: bytes


class _Output(asyncio.SubprocessProtocol):
    """Cuts the process's output into lines and reports its end."""

    LINE_BYTES_MAX = 262_144

    def __init__(self, on_line: Callable[[str], None], on_exit: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_exit = on_exit
        self._partial = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """stdout and stderr are one pipe, as a function's log is one stream."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > self.LINE_BYTES_MAX:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Output ends without a newline when a process is killed."""
        if self._partial:
            self._on_line(self._partial.decode(errors="replace"))
            self._partial = b""

    def process_exited(self) -> None:
        """Nothing more will come."""
        self._on_exit()


@dataclass(eq=False)
class Sandbox:
    """Serves one invocation at a time, for as long as its process lives."""

    launch: Launch
    last_used: float = field(default_factory=time.monotonic)
    alive: bool = False
    retired: bool = False
    _server: asyncio.Server | None = None
    _process: asyncio.SubprocessTransport | None = None
    _poll: RuntimeApiConnection | None = None
    _ready: asyncio.Future | None = None
    _running: tuple[str, asyncio.Future] | None = None
    _event: Event | None = None

    async def start(self) -> None:
        """Start the process and wait for its first poll. Raises SandboxFailure."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        bootstrap = os.path.join(self.launch.code_dir, "bootstrap")
        if not os.access(bootstrap, os.X_OK):
            raise SandboxFailure("Runtime.InvalidEntrypoint", "No executable bootstrap in the deployment package.")
        self._server = await loop.create_server(lambda: RuntimeApiConnection(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        command = [_SETPRIV, "--pdeathsig", "KILL", bootstrap] if _SETPRIV else [bootstrap]
        try:
            self._process, _ = await loop.subprocess_exec(
                lambda: _Output(self.launch.on_line, self._on_exit),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self.launch.code_dir,
                env=self.launch.variables | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"},
                start_new_session=True,
            )
            self.alive = True
            async with asyncio.timeout(INIT_SECONDS_MAX + self.launch.timeout_seconds):
                await self._ready
        except TimeoutError as error:
            self.kill()
            raise SandboxFailure("Sandbox.Timedout", "The function did not reach the Runtime API in time.") from error
        except OSError as error:
            self.kill()
            raise SandboxFailure("Runtime.InvalidEntrypoint", f"bootstrap cannot be run: {error}") from error
        except SandboxFailure:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return self._process is not None and self._process.get_returncode() is None

    async def invoke(self, event: Event) -> Outcome:
        """Run one invocation. Raises SandboxFailure when the process ends or the function's timeout passes."""
        answer = asyncio.get_running_loop().create_future()
        self._running = (event.request_id, answer)
        self._event = event
        self._hand_over()
        try:
            async with asyncio.timeout(self.launch.timeout_seconds):
                return await answer
        except TimeoutError as error:
            self.kill()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            raise SandboxFailure(
                "Sandbox.Timedout",
                f"{stamp} {event.request_id} Task timed out after {self.launch.timeout_seconds:.2f} seconds",
            ) from error
        finally:
            self._running = None
            self._event = None
            self.last_used = time.monotonic()

    def kill(self) -> None:
        """End the process, its children and the server at once."""
        self.alive = False
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.get_pid(), signal.SIGKILL)
        if self._server is not None:
            self._server.close()
            self._server = None

    def on_poll(self, connection: RuntimeApiConnection) -> None:
        """The first poll ends the Init phase."""
        self._poll = connection
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        self._hand_over()

    def on_result(self, request_id: str, is_error: bool, body: bytes) -> bool:
        """Accept the answer to the running request only."""
        if self._running is None or self._running[0] != request_id or self._running[1].done():
            return False
        self._running[1].set_result(Outcome(is_error, body))
        return True

    def on_init_error(self, body: bytes) -> None:
        """Fail the start with what the runtime reported."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(SandboxFailure("Runtime.InitError", _error_message(body)))

    def _hand_over(self) -> None:
        if self._poll is None or self._event is None:
            return
        if self._poll.send_event(self._event):
            self._event = None
        self._poll = None

    def _on_exit(self) -> None:
        self.alive = False
        asyncio.get_running_loop().call_later(EXIT_GRACE_SECONDS, self._report_exit)

    def _report_exit(self) -> None:
        code = self._process.get_returncode() if self._process is not None else None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(
                SandboxFailure("Runtime.ExitError", f"Runtime exited with code {code} before it was ready")
            )
        if self._running is not None and not self._running[1].done():
            self._running[1].set_exception(
                SandboxFailure("Runtime.ExitError", f"RequestId: {self._running[0]} Error: Runtime exited ({code})")
            )
        self.kill()


def _error_message(body: bytes) -> str:
    try:
        return str(json.loads(body).get("errorMessage", "init failed"))
    except (ValueError, AttributeError):
        return "init failed"
