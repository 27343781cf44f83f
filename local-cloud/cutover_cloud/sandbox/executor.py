"""Runs invocations of `provided.*` functions in our environments instead of MiniStack's."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from typing import Any

from ministack.core import concurrency, lambda_runtime
from ministack.core.responses import new_uuid, request_scope
from ministack.services import apigateway, apigateway_v1, lambda_svc

from cutover_cloud import function_log, function_state
from cutover_cloud.sandbox.environment import Launch, Outcome, SandboxFailure
from cutover_cloud.sandbox.pool import Pool
from cutover_cloud.sandbox.runtime_api import Event
from cutover_cloud.settings import Settings

PoolKey = tuple[str, str, str, str, str]
LATEST = "$LATEST"
REAP_SECONDS_MAX = 1.0


class Executor:
    """Every pool of the emulator, by account, region, function, version and revision."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pools: dict[PoolKey, Pool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that owns all environments. The kernel ends a process with the *thread* that started it,
        so it has to be the main thread's."""
        self._loop = loop

    async def execute(self, func: dict[str, Any], event: Any) -> dict[str, Any]:
        """One invocation, in the result shape of MiniStack's executors."""
        config = func.get("config") or func
        account, region = lambda_svc._account_region_from_function_config(config)
        with request_scope(account, region):
            slot, limit = lambda_svc._acquire_execution_slot(func, config)
            if slot is None:
                function_log.count_invocation(config, 0.0, error=False, throttled=True)
                return lambda_svc._throttle_response(
                    "ReservedFunctionConcurrentInvocationLimitExceeded"
                    if limit == "function"
                    else "ConcurrentInvocationLimitExceeded",
                    "Rate Exceeded.",
                )
            started = time.monotonic()
            try:
                result = await self._run(func, config, event, (account, region))
            finally:
                lambda_svc._release_execution_slot(slot)
            milliseconds = (time.monotonic() - started) * 1000.0
            function_log.count_invocation(config, milliseconds, error=bool(result.get("error")), throttled=False)
            return result

    def execute_blocking(self, func: dict[str, Any], event: Any) -> dict[str, Any]:
        """The same for MiniStack's worker threads (EventBridge, SNS, custom resources)."""
        if self._loop is None or threading.current_thread() is threading.main_thread():
            # The function could never answer: its answer is read by the thread that would wait for it.
            raise RuntimeError("a function cannot be waited for on the event loop")
        return asyncio.run_coroutine_threadsafe(self.execute(func, event), self._loop).result()

    def retire(
        self, name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        """End the environments of code or configuration that is no more. Takes the arguments of MiniStack's own."""
        for key in list(self._pools):
            if (
                key[2] == name
                and qualifier in (None, key[3])
                and account in (None, key[0])
                and region in (None, key[1])
            ):
                pool = self._pools.pop(key)
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(pool.retire)

    async def kill_all(self) -> None:
        """End every function process at once, and take note of their ends, lest they stay as zombies."""
        for pool in self._pools.values():
            pool.kill()
        until = time.monotonic() + REAP_SECONDS_MAX
        while any(pool.running for pool in self._pools.values()) and time.monotonic() < until:
            await asyncio.sleep(REAP_SECONDS_MAX / 100)

    async def _run(
        self, func: dict[str, Any], config: dict[str, Any], event: Any, scope: tuple[str, str]
    ) -> dict[str, Any]:
        refused = function_state.refuses(config)
        if refused:
            return _failure("ResourceConflictException", refused)
        if not func.get("code_zip"):
            return _failure("Runtime.InvalidEntrypoint", "The function has no code.")
        pool = self._pool(func, config, scope)
        request_id = new_uuid()
        try:
            sandbox = await pool.acquire()
        except SandboxFailure as failure:
            return _failure(failure.error_type, str(failure))
        log = function_log.begin(config)
        try:
            outcome = await sandbox.invoke(_event(config, event, request_id, sandbox.launch.timeout_seconds))
            return _result(outcome, log)
        except SandboxFailure as failure:
            function_log.write(config, json.dumps({"requestId": request_id, "platform": str(failure)}))
            return _failure(failure.error_type, str(failure))
        finally:
            log.end()
            pool.release(sandbox)

    def _pool(self, func: dict[str, Any], config: dict[str, Any], scope: tuple[str, str]) -> Pool:
        version = config.get("Version", LATEST)
        key = (*scope, config["FunctionName"], version, config.get("RevisionId", ""))
        pool = self._pools.get(key)
        if pool is None:
            pool = Pool(lambda: self._launch(func, config, scope), self._settings.sandboxes_max)
            self._pools[key] = pool
        return pool

    def _launch(self, func: dict[str, Any], config: dict[str, Any], scope: tuple[str, str]) -> Launch:
        code_dir = lambda_svc._provided_runtime_code_dir(func["code_zip"])
        with request_scope(*scope):
            variables = self._variables(config, code_dir, scope[1])
        return Launch(
            code_dir=code_dir,
            variables=variables,
            timeout_seconds=float(config.get("Timeout", 3)),
            on_line=lambda line: function_log.take(config, scope, line),
        )

    def _variables(self, config: dict[str, Any], code_dir: str, region: str) -> dict[str, str]:
        """What AWS sets, the role's credentials, the function's own variables, and where the emulator is."""
        platform = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "TMPDIR": str(self._settings.temporary_dir),
            "LAMBDA_TASK_ROOT": code_dir,
            "_HANDLER": config.get("Handler", "bootstrap"),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", LATEST),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function_log.group_name(config),
            "AWS_LAMBDA_LOG_STREAM_NAME": function_log.stream_name(config),
        }
        return (
            platform
            | lambda_svc._runtime_env_vars(config)
            | lambda_runtime.execution_credentials(config)
            | {"AWS_ENDPOINT_URL": self._settings.endpoint}
        )


def _event(config: dict[str, Any], event: Any, request_id: str, timeout_seconds: float) -> Event:
    return Event(
        request_id=request_id,
        payload=json.dumps(event).encode(),
        deadline_ms=int((time.time() + timeout_seconds) * 1000),
        function_arn=config.get("FunctionArn", ""),
        trace_id=lambda_svc._xray_trace_id_for_invocation(config),
    )


def _result(outcome: Outcome, log: function_log.Invocation) -> dict[str, Any]:
    try:
        body = json.loads(outcome.body)
    except ValueError:
        body = outcome.body.decode(errors="replace")
    if outcome.is_error:
        return {"body": body, "error": True, "log": log.text()}
    return {"body": body, "log": log.text()}


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {"body": {"errorType": error_type, "errorMessage": message}, "error": True, "log": message}


def _is_provided(func: dict[str, Any]) -> bool:
    config = func.get("config") or func
    return str(config.get("Runtime", "")).startswith("provided")


def install(settings: Settings) -> Executor:
    """Route every way of invoking a `provided.*` function to our executor."""
    executor = Executor(settings)
    execute, in_scope = lambda_svc._execute_function, lambda_svc._execute_function_with_config_scope

    def execute_function(func: dict[str, Any], event: Any) -> dict[str, Any]:
        return executor.execute_blocking(func, event) if _is_provided(func) else execute(func, event)

    async def run_reentrant(function: Any, *arguments: Any, **options: Any) -> Any:
        """An invocation from a coroutine needs no thread of its own."""
        if function is in_scope and _is_provided(arguments[0]):
            # Shielded: a client that goes away must not abort a payment, nor lose its environment.
            return await asyncio.shield(asyncio.ensure_future(executor.execute(*arguments)))
        return await concurrency.run_reentrant(function, *arguments, **options)

    lambda_svc._execute_function = execute_function
    for module in (lambda_svc, apigateway_v1, apigateway):
        module.run_reentrant = run_reentrant
    lambda_svc.invalidate_worker = executor.retire
    # Counted by the executor with the dimensions that AWS has, for every way in and not for Invoke alone.
    lambda_svc._emit_lambda_metrics = lambda *_arguments, **_options: None
    return executor
