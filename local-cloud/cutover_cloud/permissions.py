"""Lambda resource policies: whether a service may invoke a function. MiniStack asks nobody.

With an alias as target, the permission has to be the alias's own, which is easily forgotten in a template.
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

from __future__ import annotations

import logging
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import apigateway_v1, eventbridge, lambda_svc, sns

log = logging.getLogger("cutover_cloud.permissions")

API_GATEWAY = "apigateway.amazonaws.com"
EVENTS = "events.amazonaws.com"
ALARMS = "lambda.alarms.cloudwatch.amazonaws.com"
SECRETS = "secretsmanager.amazonaws.com"
TOPICS = "sns.amazonaws.com"
LOAD_BALANCING = "elasticloadbalancing.amazonaws.com"


class Permissions:
    """Says who may invoke what; without enforcement, everyone may."""

    def __init__(self, *, enforced: bool) -> None:
        self._enforced = enforced

    def allows(self, service: str, function_arn: str, source_arn: str) -> bool:
        """Whether the policy of the function, version or alias lets the service invoke it on behalf of the source."""
        if not self._enforced:
            return True
        context = EvalContext(
            principal_arn=service,
            principal_type="Service",
            principal_account=get_account_id(),
            action="lambda:InvokeFunction",
            resource_arn=function_arn,
            region=get_region(),
            service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()},
        )
        found = lambda_svc.function_policy_for_arn(function_arn)
        allowed = found is not None and evaluate_resource_policy(found[0], context, service).decision == "Allow"
        if not allowed:
            log.warning("refused: no permission lets %s of %s invoke %s", source_arn, service, function_arn)
        return allowed


def install(permissions: Permissions) -> None:
    """Ask before a REST API (500 to its caller), a rule and a topic (nothing happens)."""
    invoke = apigateway_v1._invoke_lambda_proxy_v1
    deliver = eventbridge._invoke_target
    notify = sns._deliver_to_lambda

    async def invoke_proxy(
        integration: dict[str, Any],
        api_id: str,
        stage_name: str,
        stage: Any,
        resource: dict[str, Any],
        request_path: str,
        method: str,
        *rest: Any,
        **options: Any,
    ) -> Any:
        function = apigateway_v1._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
        source = (
            f"arn:aws:execute-api:{get_region()}:{get_account_id()}:{api_id}/{stage_name}/{method}{resource['path']}"
        )
        if not permissions.allows(API_GATEWAY, function, source):
            return 500, {"Content-Type": "application/json"}, b'{"message": "Internal server error"}'
        return await invoke(integration, api_id, stage_name, stage, resource, request_path, method, *rest, **options)

    def invoke_target(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
        arn = target.get("Arn", "")
        if ":lambda:" not in arn or permissions.allows(EVENTS, arn, rule["Arn"]):
            deliver(target, event, rule, view)

    def notify_function(endpoint: str, envelope: str, topic_arn: str, *rest: Any) -> None:
        if permissions.allows(TOPICS, endpoint, topic_arn):
            notify(endpoint, envelope, topic_arn, *rest)

    sns._deliver_to_lambda = notify_function
    apigateway_v1._invoke_lambda_proxy_v1 = invoke_proxy
    eventbridge._invoke_target = invoke_target
