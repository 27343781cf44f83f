"""A template with every type of the first cut, as small as it can be."""

from __future__ import annotations

import json
from typing import Any

FUNCTION = "stack-payment"


def assume(service: str) -> dict[str, Any]:
    """A trust policy."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }


def ref(name: str) -> dict[str, str]:
    """`!Ref`."""
    return {"Ref": name}


def get(name: str, attribute: str) -> dict[str, list[str]]:
    """`!GetAtt`."""
    return {"Fn::GetAtt": [name, attribute]}


def storage() -> dict[str, Any]:
    """Tables, bucket, keys and secrets."""
    return {
        "Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {
                "EnableKeyRotation": True,
                "KeyPolicy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "kms:*",
                            "Resource": "*",
                            "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}},
                        }
                    ],
                },
            },
        },
        "KeyAlias": {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/stack", "TargetKeyId": ref("Key")}},
        "Sessions": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "stack-sessions",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in ("sessionId", "userId", "createdAt")
                ],
                "KeySchema": [{"AttributeName": "sessionId", "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "by-user",
                        "Projection": {"ProjectionType": "ALL"},
                        "KeySchema": [
                            {"AttributeName": "userId", "KeyType": "HASH"},
                            {"AttributeName": "createdAt", "KeyType": "RANGE"},
                        ],
                    }
                ],
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": get("Key", "Arn")},
                "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": True},
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "stack-transactions",
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {
                            "ServerSideEncryptionByDefault": {
                                "SSEAlgorithm": "aws:kms",
                                "KMSMasterKeyID": get("Key", "Arn"),
                            }
                        }
                    ]
                },
                "PublicAccessBlockConfiguration": {
                    key: True
                    for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
                },
            },
        },
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": ref("Bucket"),
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:DeleteObject",
                            "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                            "Condition": {"StringEquals": {"aws:PrincipalTag/none": "none"}},
                        }
                    ],
                },
            },
        },
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Name": "stack-secret",
                "GenerateSecretString": {
                    "SecretStringTemplate": '{"username": "app"}',
                    "GenerateStringKey": "password",
                    "ExcludeCharacters": '"@/\\',
                },
            },
        },
        "Status": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/stack/status", "Type": "String", "Value": "-"},
        },
    }


def functions(color: str, versions: list[str], package_key: str) -> dict[str, Any]:
    """The function with its versions by logical id; the newest has the given color and code."""
    return {
        "Policy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": get("Sessions", "Arn")}
                    ],
                }
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": "stack-role",
                "AssumeRolePolicyDocument": assume("lambda.amazonaws.com"),
                "ManagedPolicyArns": [ref("Policy")],
            },
        },
        "Logs": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": f"/aws/lambda/{FUNCTION}", "RetentionInDays": 30},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": ["Logs"],
            "Properties": {
                "FunctionName": FUNCTION,
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Timeout": 10,
                "Role": get("Role", "Arn"),
                "Code": {"S3Bucket": "stack-packages", "S3Key": package_key},
                "Environment": {"Variables": {"COLOR": color}},
            },
        },
        "Custom": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "stack-custom",
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Timeout": 10,
                "Role": get("Role", "Arn"),
                "Code": {"S3Bucket": "stack-packages", "S3Key": package_key},
            },
        },
    } | {name: {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": ref("Function")}} for name in versions}


def front(echo: str, fail_on: str) -> dict[str, Any]:
    """What calls the function: custom resource, API, rule, alarm."""
    uri = {
        "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/arn:aws:lambda:"
        f"${{AWS::Region}}:${{AWS::AccountId}}:function:{FUNCTION}:live/invocations"
    }
    return {
        "Switch": {
            "Type": "Custom::EnvironmentSwitch",
            "Properties": {"ServiceToken": get("Custom", "Arn"), "ServiceTimeout": 20, "Echo": echo, "FailOn": fail_on},
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": get("Function", "Arn"),
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
            },
        },
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "stack-api"}},
        "Payment": {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {"RestApiId": ref("Api"), "ParentId": get("Api", "RootResourceId"), "PathPart": "payment"},
        },
        "PostPayment": {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "RestApiId": ref("Api"),
                "ResourceId": ref("Payment"),
                "HttpMethod": "POST",
                "AuthorizationType": "NONE",
                "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri},
            },
        },
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": ["PostPayment"],
            "Properties": {"RestApiId": ref("Api")},
        },
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {"RestApiId": ref("Api"), "DeploymentId": ref("Deployment"), "StageName": "v1"},
        },
        "Tick": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": "rate(1 minute)",
                "State": "ENABLED",
                "Targets": [{"Id": "switcher", "Arn": get("Custom", "Arn")}],
            },
        },
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "stack-topic", "KmsMasterKeyId": ref("Key")}},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "stack-alarm",
                "Namespace": "Cutover",
                "MetricName": "Failures",
                "Statistic": "Sum",
                "Dimensions": [{"Name": "Color", "Value": "green"}],
                "Period": 10,
                "EvaluationPeriods": 1,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
                "AlarmActions": [ref("Topic")],
            },
        },
        "RateAlarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "stack-rate",
                "EvaluationPeriods": 1,
                "Threshold": 5,
                "ComparisonOperator": "GreaterThanThreshold",
                "Metrics": [
                    {
                        "Id": "m",
                        "ReturnData": False,
                        "MetricStat": {
                            "Period": 10,
                            "Stat": "Sum",
                            "Metric": {"Namespace": "Cutover", "MetricName": "Failures"},
                        },
                    },
                    {"Id": "e", "Expression": "FILL(m, 0) * 100"},
                ],
            },
        },
        "Composite": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "DependsOn": ["Alarm", "RateAlarm"],
            "Properties": {"AlarmName": "stack-any", "AlarmRule": "ALARM(stack-alarm) OR ALARM(stack-rate)"},
        },
    }


def template(color: str, versions: list[str], package_key: str, echo: str, fail_on: str = "never") -> str:
    """The whole template as JSON."""
    return json.dumps(
        {
            "Resources": storage() | functions(color, versions, package_key) | front(echo, fail_on),
            "Outputs": {
                "Echo": {"Value": get("Switch", "Echo")},
                "Request": {"Value": get("Switch", "RequestType")},
                "Api": {"Value": ref("Api")},
                "Version": {"Value": get(versions[-1], "Version")},
            },
        }
    )
