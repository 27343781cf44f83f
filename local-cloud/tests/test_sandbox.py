"""Execution environments: isolation, failure, concurrency, and their end."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud import Cloud, eventually, post


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_function_sees_only_its_own_environment(cloud: Cloud) -> None:
    cloud.function("env", COLOR="blue")
    environment = cloud.invoke("env", {"environment": True})[1]["environment"]
    assert "LEAKED" not in environment and "GATEWAY_PORT" not in environment and "AUTH" not in environment
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert environment["AWS_REGION"] == "eu-central-1"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA") and environment["AWS_SESSION_TOKEN"]


def test_functions_have_the_rights_of_their_role_only(cloud: Cloud) -> None:
    cloud.function("rights")
    seen = cloud.invoke("rights", {"environment": True})[1]["environment"]
    s3 = cloud.client("s3", seen["AWS_ACCESS_KEY_ID"], seen["AWS_SECRET_ACCESS_KEY"], seen["AWS_SESSION_TOKEN"])
    try:
        s3.list_buckets()
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
    else:
        raise AssertionError("the role allows nothing")


def test_warm_invocations_reuse_one_environment_and_are_fast(cloud: Cloud) -> None:
    cloud.function("warm")
    pids = {cloud.invoke("warm")[1]["pid"]}
    started = time.monotonic()
    for _ in range(20):
        pids.add(cloud.invoke("warm")[1]["pid"])
    assert len(pids) == 1
    # MiniStack's own environments take 10 ms and more each.
    assert (time.monotonic() - started) / 20 < 0.05


def test_burst_gets_an_environment_each(cloud: Cloud) -> None:
    cloud.function("burst", timeout=30)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: cloud.invoke("burst", {"sleep": 6})[1], range(30)))
    assert len({answer["pid"] for answer in answers}) == 30


def test_handler_error_keeps_the_environment(cloud: Cloud) -> None:
    cloud.function("error")
    pid = cloud.invoke("error")[1]["pid"]
    response, payload = cloud.invoke("error", {"fail": True})
    assert response["FunctionError"] == "Unhandled" and payload["errorMessage"] == "told to fail"
    assert cloud.invoke("error")[1]["pid"] == pid


def test_killed_process_is_502_at_once_and_replaced(cloud: Cloud) -> None:
    arn = cloud.function("killed")
    url = cloud.rest_api(arn)
    started = time.monotonic()
    status, body = post(url, {"die": True})
    assert (status, body) == (502, {"message": "Internal server error"})
    assert time.monotonic() - started < 2
    assert post(url, {})[0] == 201
    assert cloud.invoke("killed", {"die": True})[0]["FunctionError"] == "Unhandled"


def test_timeout_kills_the_function_and_its_children(cloud: Cloud) -> None:
    cloud.function("slow", timeout=1)
    pid = cloud.invoke("slow")[1]["pid"]
    started = time.monotonic()
    payload = cloud.invoke("slow", {"child": True, "sleep": 30})[1]
    assert payload["errorType"] == "Sandbox.Timedout" and "timed out after 1.00 seconds" in payload["errorMessage"]
    assert time.monotonic() - started < 2
    child = int(cloud.log("slow").split("CHILD ")[1].split()[0])
    eventually(lambda: not alive(pid) and not alive(child), 2)


def test_failed_init_is_reported(cloud: Cloud) -> None:
    cloud.function("init", INIT_FAILS="yes")
    assert "told to fail at init" in cloud.invoke("init")[1]["errorMessage"]


def test_sigterm_ends_everything_within_five_seconds(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "run")
    arn = cloud.function("hang", timeout=600)
    pid = cloud.invoke("hang")[1]["pid"]
    template = json.dumps(
        {"Resources": {"Hung": {"Type": "Custom::Hung", "Properties": {"ServiceToken": arn, "Hang": "true"}}}}
    )
    cloud.client("cloudformation").create_stack(StackName="hung", TemplateBody=template)
    time.sleep(1)
    assert cloud.stop() < 5
    # Not even as a zombie, which not every container's first process takes away.
    assert not Path(f"/proc/{pid}").exists()


def test_killed_emulator_takes_its_functions_with_it(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "run")
    cloud.function("orphan")
    pid = cloud.invoke("orphan")[1]["pid"]
    assert alive(pid)
    os.kill(cloud.process.pid, 9)
    cloud.process.wait(5)
    eventually(lambda: not alive(pid), 3)


def test_emulator_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    # The shell stays the emulator's parent: `wait` keeps it from replacing itself.
    cloud = Cloud(tmp_path / "run", command=("sh", "-c", '"$@" & wait', "sh"))
    cloud.function("left")
    pid = cloud.invoke("left")[1]["pid"]
    cloud.process.kill()
    cloud.process.wait(5)
    eventually(lambda: not alive(pid) and not cloud.answers(), 5)


def test_nothing_is_written_outside_the_run_folder(cloud: Cloud) -> None:
    opened = {
        os.path.realpath(link) for link in Path(f"/proc/{cloud.process.pid}/fd").iterdir() if os.path.exists(link)
    }
    files = {path for path in opened if os.path.isfile(path)}
    assert files and all(path.startswith(str(cloud.run_dir)) for path in files)
