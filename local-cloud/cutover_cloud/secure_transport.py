"""`aws:SecureTransport`: the loopback interface stands for TLS here, or a bucket that takes TLS only takes nothing.

So whether a client of ours speaks plain HTTP to AWS is not shown by the local cloud.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator


def install() -> None:
    """Answer the condition key as for a TLS connection."""
    original = iam_evaluator._resolve_condition_key

    def resolve(key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else original(key, context)

    iam_evaluator._resolve_condition_key = resolve
