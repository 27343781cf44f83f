"""Claim, ledger and log side by side, completion: four calls in three hops."""

from __future__ import annotations

import json
import os
import time
import uuid
from concurrent.futures import Executor
from typing import Any

from clients import Clients
from payment import EXPONENTS, Payment, Refused, read

ENVIRONMENT = os.environ["ENVIRONMENT"]
COLOR = os.environ["COLOR"]
TABLE = os.environ["SESSION_TABLE"]
BUCKET = os.environ["TRANSACTION_BUCKET"]
LEASE_MS = 15_000
KEPT_SECONDS = 30 * 86_400

INSERT = """
INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, merchant_id, amount, currency,
    exponent, card_brand, card_last4, paid_with_hash, environment, color, created_at)
SELECT %s, %s, %s, %s, 'completed', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
FROM cutover_epoch WHERE color = %s AND may_write LOCK IN SHARE MODE
"""

SET_CLAIM = "SET " + ", ".join(
    f"#{name} = :{name}"
    for name in (
        "status", "owner", "leaseUntil", "scope", "transactionId", "userId", "amount", "currency", "fingerprint",
        "paidWithHash", "environment", "color", "createdAt", "expiresAt", "cardBrand", "cardLast4",
    )
)  # fmt: skip
NAMES_CLAIM = {word.split(" ")[0]: word.split(" ")[0][1:] for word in SET_CLAIM[4:].split(", ")}


def handle(event: dict[str, Any], clients: Clients, workers: Executor) -> dict[str, Any]:
    try:
        payment = read(event, clients.hash_key())
    except Refused as refused:
        return _answer(400, {"title": str(refused)})
    owner = str(uuid.uuid4())
    if not _claim(clients, payment, owner):
        return _answer(409, {"title": "There is such a payment already."})
    logging = workers.submit(_log, clients, payment)
    written = clients.ledger().execute(INSERT, _row(payment))
    logging.result()
    if written != 1:
        return _answer(503, {"title": "This color may not write."})
    receipt = {
        "transactionId": payment.transaction_id,
        "status": "completed",
        "amount": payment.amount,
        "currency": payment.currency,
        "exponent": EXPONENTS[payment.currency],
        "environment": ENVIRONMENT,
        "color": COLOR,
        "createdAt": payment.created_at,
        "card": {"brand": payment.card_brand, "last4": payment.card_last4},
    }
    _complete(clients, payment, owner, receipt)
    return _answer(201, receipt)


def _claim(clients: Clients, payment: Payment, owner: str) -> bool:
    now_ms = time.time_ns() // 1_000_000
    try:
        clients.dynamodb.update_item(
            TableName=TABLE,
            Key={"sessionId": {"S": payment.session_id}},
            UpdateExpression=SET_CLAIM,
            ConditionExpression="attribute_not_exists(#status)",
            ExpressionAttributeNames=NAMES_CLAIM,
            ExpressionAttributeValues={
                ":status": {"S": "processing"},
                ":owner": {"S": owner},
                ":leaseUntil": {"N": str(now_ms + LEASE_MS)},
                ":scope": {"S": payment.scope},
                ":transactionId": {"S": payment.transaction_id},
                ":userId": {"S": payment.user_id},
                ":amount": {"N": str(payment.amount)},
                ":currency": {"S": payment.currency},
                ":fingerprint": {"S": payment.fingerprint.hex()},
                ":paidWithHash": {"S": payment.paid_with_hash.hex()},
                ":environment": {"S": ENVIRONMENT},
                ":color": {"S": COLOR},
                ":createdAt": {"S": payment.created_at},
                ":expiresAt": {"N": str(now_ms // 1000 + KEPT_SECONDS)},
                ":cardBrand": {"S": payment.card_brand},
                ":cardLast4": {"S": payment.card_last4},
            },
        )
    except clients.dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _log(clients: Clients, payment: Payment) -> None:
    content = {
        "transactionId": payment.transaction_id,
        "timestamp": payment.created_at,
        "status": "completed",
        "amount": payment.amount,
        "currency": payment.currency,
        "environment": ENVIRONMENT,
        "scope": payment.scope,
        "userId": payment.user_id,
        "merchantId": payment.merchant_id,
        "card": {"brand": payment.card_brand, "last4": payment.card_last4},
        "description": payment.description,
        "metadata": payment.metadata,
    }
    clients.s3.put_object(
        Bucket=BUCKET,
        Key=payment.log_key,
        IfNoneMatch="*",
        ContentType="application/json",
        Body=json.dumps(content, separators=(",", ":")).encode(),
    )


def _complete(clients: Clients, payment: Payment, owner: str, receipt: dict[str, Any]) -> None:
    clients.dynamodb.update_item(
        TableName=TABLE,
        Key={"sessionId": {"S": payment.session_id}},
        UpdateExpression="SET #status = :completed, #body = :body REMOVE #lease",
        ConditionExpression="#owner = :owner AND #status = :processing",
        ExpressionAttributeNames={"#status": "status", "#body": "responseBody", "#lease": "leaseUntil", "#owner": "owner"},
        ExpressionAttributeValues={
            ":completed": {"S": "completed"},
            ":processing": {"S": "processing"},
            ":owner": {"S": owner},
            ":body": {"S": json.dumps(receipt)},
        },
    )


def _row(payment: Payment) -> tuple[Any, ...]:
    return (
        payment.scope,
        payment.transaction_id,
        payment.transaction_id,
        payment.fingerprint,
        payment.user_id,
        payment.merchant_id,
        payment.amount,
        payment.currency,
        EXPONENTS[payment.currency],
        payment.card_brand,
        payment.card_last4,
        payment.paid_with_hash,
        ENVIRONMENT,
        COLOR,
        payment.created_at.replace("T", " ").rstrip("Z"),
        COLOR,
    )


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
