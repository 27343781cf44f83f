"""An emulator for the tests, and what they often do with it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

LAUNCHER_DIR = Path(__file__).parents[1]
# Run by the interpreter itself, isolated and without site packages: what PATH finds may be a slow wrapper.
BOOTSTRAP = f"#!{sys.executable} -IS\n" + (Path(__file__).parent / "bootstrap.py").read_text()
ROTATOR = (Path(__file__).parent / "rotator.py").read_text()
REGION = "eu-central-1"
ACCOUNT = "000000000000"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def package(marker: str = "") -> bytes:
    """A deployment package with the test function."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
        archive.writestr("marker", marker)
        archive.writestr("rotator.py", ROTATOR)
    return buffer.getvalue()


def eventually(check: Any, seconds: float = 10.0) -> Any:
    """The first truthy answer of `check`, asked until `seconds` have passed."""
    until = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.05)


class Cloud:
    """A running emulator."""

    def __init__(
        self, run_dir: Path, tick_seconds: float = 1.0, command: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        self.port = free_port()
        self.run_dir = run_dir
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._clients: dict[str, Any] = {}
        # A hostile environment: nothing of it may reach the emulator or a function.
        inherited = os.environ | {"AUTH": "false", "GATEWAY_PORT": "1", "LEAKED": "secret", "PERSIST_STATE": "1"}
        self.process = subprocess.Popen(
            [
                *command,
                sys.executable,
                "-m",
                "cutover_cloud",
                "--port",
                str(self.port),
                "--run-dir",
                str(run_dir),
                "--tick-seconds",
                str(tick_seconds),
                "--with-parent",
                *flags,
            ],
            cwd=LAUNCHER_DIR,
            env=inherited,
            start_new_session=True,
        )
        eventually(self.ready, 20)

    def ready(self) -> bool:
        """Whether the readiness endpoint answers 200."""
        assert self.process.poll() is None, "the emulator ended"
        return self.answers()

    def answers(self) -> bool:
        """The same, of an emulator that may have ended."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/ready", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def stop(self) -> float:
        """SIGTERM; the seconds that it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return time.monotonic() - started

    def client(self, service: str, key: str = "test", secret: str = "test", token: str | None = None) -> Any:
        """A boto3 client that does not retry."""
        if (service, key) not in self._clients:
            self._clients[service, key] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=50),
            )
        return self._clients[service, key]

    def role(self, name: str, statements: list[dict[str, Any]] | None = None) -> str:
        """The ARN of a role for functions, made if need be."""
        iam = self.client("iam")
        try:
            return iam.get_role(RoleName=name)["Role"]["Arn"]
        except iam.exceptions.NoSuchEntityException:
            arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
            policy = {"Version": "2012-10-17", "Statement": statements or []}
            if statements:
                iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(policy))
            return arn

    def function(self, name: str, timeout: int = 10, role: str = "test-function", **variables: str) -> str:
        """A new function; answers its ARN."""
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=self.role(role),
            Code={"ZipFile": package()},
            Timeout=timeout,
            Environment={"Variables": variables},
        )
        return made["FunctionArn"]

    def colors(self, name: str) -> tuple[str, str]:
        """A function with two published versions, blue and green; answers their numbers."""
        lambda_ = self.client("lambda")
        self.function(name, COLOR="blue")
        blue = lambda_.publish_version(FunctionName=name)["Version"]
        lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "green"}})
        return blue, lambda_.publish_version(FunctionName=name)["Version"]

    def invoke(self, name: str, event: dict[str, Any] | None = None, **options: Any) -> tuple[dict[str, Any], Any]:
        """Invoke synchronously; answers the response and the decoded payload."""
        response = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **options)
        return response, json.loads(response["Payload"].read())

    def rest_api(self, function_arn: str) -> str:
        """The URL of `POST /payment` of a new REST API in front of a function or alias."""
        gateway = self.client("apigateway")
        api = gateway.create_rest_api(name="test")["id"]
        root = gateway.get_resources(restApiId=api)["items"][0]["id"]
        resource = gateway.create_resource(restApiId=api, parentId=root, pathPart="payment")["id"]
        gateway.put_method(restApiId=api, resourceId=resource, httpMethod="POST", authorizationType="NONE")
        gateway.put_integration(
            restApiId=api,
            resourceId=resource,
            httpMethod="POST",
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function_arn}/invocations",
        )
        gateway.create_deployment(restApiId=api, stageName="prod")
        return f"{self.endpoint}/_aws/execute-api/{api}/prod/payment"

    def control(self, topic: str, **given: Any) -> tuple[int, Any]:
        """Status and answer of a control endpoint, in the region of the tests."""
        return post(f"{self.endpoint}/_cutover/{topic}", {"region": REGION} | given)

    def log(self, function: str) -> str:
        """All that a function printed."""
        path = self.run_dir / "logs" / f"{function}.log"
        return path.read_text() if path.exists() else ""


def post(url: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Status and decoded body of a POST."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
