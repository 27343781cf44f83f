"""API Gateway's answer when a function fails: AWS says nothing about the failure to the caller."""

from __future__ import annotations

from typing import Any

from ministack.services import apigateway_v1


def install() -> None:
    """A failed, killed or timed-out function is `502 {"message": "Internal server error"}` at a REST API."""
    shape = apigateway_v1._lambda_proxy_response

    def lambda_proxy_response(result: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        response, error = shape(result)
        return response, error and "Internal server error"

    apigateway_v1._lambda_proxy_response = lambda_proxy_response
