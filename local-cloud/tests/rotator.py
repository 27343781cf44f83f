"""A rotation function for the tests: the four steps, without a database. Loaded by `bootstrap` from the package."""

import datetime
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request

FAILURES = {"left": int(os.environ.get("FAIL_TIMES", "0"))}


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def call(operation, request):
    """A signed call of Secrets Manager, with the credentials of the function's role."""
    region, body = os.environ["AWS_REGION"], json.dumps(request).encode()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host = os.environ["AWS_ENDPOINT_URL"].partition("//")[2]
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": now,
        "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
        "x-amz-target": f"secretsmanager.{operation}",
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{region}/secretsmanager/aws4_request"
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = digest(key, part)
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, "
        f"Signature={digest(key, to_sign).hex()}"
    )
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{host}/", body, headers)) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode()) from error


def step(event):
    name, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    print("STEP", name, token, len(event["RotationToken"]), flush=True)
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    if os.environ.get("FAIL_STEP") == name and FAILURES["left"] > 0:
        FAILURES["left"] -= 1
        raise ValueError("told to fail at " + name)
    stages = call("DescribeSecret", {"SecretId": secret})["VersionIdsToStages"]
    if name == "createSecret":
        try:
            call("GetSecretValue", {"SecretId": secret, "VersionId": token, "VersionStage": "AWSPENDING"})
        except ValueError as error:
            if "ResourceNotFoundException" not in str(error):
                raise
            put = {"SecretId": secret, "ClientRequestToken": token, "SecretString": "new " + token}
            call("PutSecretValue", put | {"VersionStages": ["AWSPENDING"], "RotationToken": event["RotationToken"]})
    if name == "finishSecret" and os.environ.get("FORGET") is None:
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        move = {"SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": token}
        call("UpdateSecretVersionStage", move | {"RemoveFromVersionId": current})
    return {}
