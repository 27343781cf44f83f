"""A payment's request: what is checked, and what is derived from it. No I/O."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

EXPONENTS = {"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "JPY": 0, "KWD": 3}
AMOUNT_MAX = 999_999_999_999
ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
CARD_NUMBER = re.compile(r"[0-9]{12,19}")


class Refused(Exception):
    """The request breaks a rule."""


@dataclass(frozen=True)
class Payment:
    transaction_id: str
    user_id: str
    merchant_id: str | None
    amount: int
    currency: str
    description: str | None
    metadata: dict[str, str]
    card_brand: str
    card_last4: str
    paid_with_hash: bytes
    fingerprint: bytes
    created_at: str

    @property
    def scope(self) -> str:
        return f"m:{self.merchant_id}" if self.merchant_id else "public"

    @property
    def session_id(self) -> str:
        return f"{self.scope}#{self.transaction_id}"

    @property
    def log_key(self) -> str:
        day = self.created_at[:10].replace("-", "/")
        return f"transactions/{day}/{self.transaction_id}.json"


def read(event: dict[str, Any], hash_key: bytes) -> Payment:
    """Checks an API Gateway event; answers the payment that it asks for."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body, validate=True).decode()
    try:
        request = json.loads(body)
    except ValueError as error:
        raise Refused("the body is no JSON") from error
    if not isinstance(request, dict):
        raise Refused("the body is no JSON object")
    amount, currency = request.get("amount"), request.get("currency")
    if type(amount) is not int or not 0 < amount <= AMOUNT_MAX:
        raise Refused("amount is a positive whole number")
    if currency not in EXPONENTS:
        raise Refused("currency is not taken")
    transaction_id, user_id = request.get("transactionId"), request.get("userId")
    for value in (transaction_id, user_id):
        if not isinstance(value, str) or not ID.fullmatch(value):
            raise Refused("transactionId and userId are 1 to 64 letters, digits, . _ : -")
    now = datetime.datetime.now(datetime.timezone.utc)
    number = _card(request.get("paymentMethod"), now)
    metadata = request.get("metadata") or {}
    canonical = json.dumps(
        [transaction_id, user_id, request.get("merchantId"), amount, currency, metadata, number],
        separators=(",", ":"),
        sort_keys=True,
    )
    return Payment(
        transaction_id=transaction_id,
        user_id=user_id,
        merchant_id=request.get("merchantId"),
        amount=amount,
        currency=currency,
        description=request.get("description"),
        metadata=metadata,
        card_brand="visa" if number.startswith("4") else "other",
        card_last4=number[-4:],
        paid_with_hash=hmac.digest(hash_key, number.encode(), hashlib.sha256),
        fingerprint=hmac.digest(hash_key, canonical.encode(), hashlib.sha256),
        created_at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _card(method: Any, now: datetime.datetime) -> str:
    if not isinstance(method, dict) or method.get("type") != "card":
        raise Refused("paymentMethod is a card")
    number = str(method.get("number", "")).replace(" ", "")
    if not CARD_NUMBER.fullmatch(number) or not _luhn(number):
        raise Refused("the card's number is not valid")
    month, year = method.get("expiryMonth"), method.get("expiryYear")
    if type(month) is not int or type(year) is not int or not 1 <= month <= 12:
        raise Refused("the card's expiry is a month and a year")
    if (year, month) < (now.year, now.month):
        raise Refused("the card has expired")
    return number


def _luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
