"""IAM actions of the calls on one alias: MiniStack checks all but the creation as `lambda:ListAliases`.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
"""

from __future__ import annotations

from ministack.core import iam_actions

_ONE_ALIAS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}


def install() -> None:
    """Name the action of `/2015-03-31/functions/{function}/aliases/{alias}` as AWS does."""
    original = iam_actions._lambda_action

    def lambda_action(method: str, path: str) -> str | None:
        parts = [part for part in path.split("/") if part]
        if len(parts) == 5 and parts[1] == "functions" and parts[3] == "aliases":
            return _ONE_ALIAS.get(method)
        return original(method, path)

    iam_actions._lambda_action = lambda_action
