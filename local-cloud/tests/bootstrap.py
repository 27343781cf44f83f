"""A function for the tests, told by each event what to do. Runs as `bootstrap` in an execution environment."""

import http.client
import json
import os
import signal
import time

RUNTIME = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
LOADED = {}
BASE = "/2018-06-01/runtime"


def call(method, path, body=None):
    RUNTIME.request(method, BASE + path, body)
    response = RUNTIME.getresponse()
    return response, response.read()


def answer_cloudformation(event):
    import urllib.request  # Here, since it is slow to import and seldom needed.

    wanted = event["ResourceProperties"]
    if wanted.get("Hang") == "true":
        time.sleep(600)
    failed = wanted.get("FailOn") == event["RequestType"]
    answer = {
        "Status": "FAILED" if failed else "SUCCESS",
        "Reason": "told to fail",
        "PhysicalResourceId": event.get("PhysicalResourceId", "custom-1"),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Echo": wanted.get("Echo", ""), "RequestType": event["RequestType"]},
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request).read()


def rotator():
    import importlib.util  # As above.

    if "rotator" not in LOADED:
        found = importlib.util.spec_from_file_location("rotator", os.environ["LAMBDA_TASK_ROOT"] + "/rotator.py")
        LOADED["rotator"] = importlib.util.module_from_spec(found)
        found.loader.exec_module(LOADED["rotator"])
    return LOADED["rotator"]


def handle(event, headers):
    if "Step" in event:
        return rotator().step(event)
    if "ResponseURL" in event:
        answer_cloudformation(event)
        return {}
    told = event
    if isinstance(event.get("body"), str):
        told = json.loads(event["body"] or "{}")
    for line in told.get("print", []):
        print(line, flush=True)
    if told.get("child"):
        print("CHILD", os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300"), flush=True)
    if "sleep" in told:
        time.sleep(told["sleep"])
    if told.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if told.get("fail"):
        raise ValueError("told to fail")
    result = {
        "color": os.environ.get("COLOR"),
        "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "arn": headers["Lambda-Runtime-Invoked-Function-Arn"],
        "pid": os.getpid(),
        "environment": dict(os.environ) if told.get("environment") else None,
        "event_version": event.get("version"),
        "event": event if told.get("echo") else None,
        "code": open("marker").read() if os.path.exists("marker") else None,
    }
    if "requestContext" in event:
        named = {"X-Color": str(result["color"])}
        several = {"multiValueHeaders": {name: [value] for name, value in named.items()}}
        return {"statusCode": 201, "headers": named, **several, "body": json.dumps(result)}
    if event.get("source") or event.get("alarmData") or event.get("Records"):
        print("EVENT " + json.dumps(event), flush=True)
    return result


if os.environ.get("INIT_FAILS"):
    call("POST", "/init/error", json.dumps({"errorMessage": "told to fail at init", "errorType": "Test"}))
    raise SystemExit(1)
while True:
    next_event, payload = call("GET", "/invocation/next")
    request_id = next_event.headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        call("POST", f"/invocation/{request_id}/response", json.dumps(handle(json.loads(payload), next_event.headers)))
    except Exception as error:  # noqa: BLE001 - reported to the runtime as a real one does
        call("POST", f"/invocation/{request_id}/error", json.dumps({"errorMessage": str(error), "errorType": "Test"}))
