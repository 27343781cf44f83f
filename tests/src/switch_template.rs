//! The stack that [`crate::switch_world`] has its routers from.

use serde_json::{Value, json};

use crate::switch_world::NAME;

/// Servers of the colors on `ports`: blue, green, and one that answers with the path.
pub(crate) fn template(ports: &[u16]) -> Value {
    let group = |port: u16| {
        json!({"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {
            "TargetType": "ip", "Port": 80, "Protocol": "HTTP", "VpcId": "vpc-1", "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
            "Targets": [{"Id": "127.0.0.1", "Port": port}],
        }})
    };
    // Answers until a rule that forwards is made on it.
    let closed = |port: u16| {
        json!({"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {
            "LoadBalancerArn": {"Ref": "Own"}, "Port": port, "Protocol": "HTTP",
            "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {
                "StatusCode": "503", "ContentType": "text/plain", "MessageBody": "nobody",
            }}],
        }})
    };
    let balancer = |name: &str| json!({"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Name": name}});
    let listener = |balancer: &str, group: &str| {
        json!({"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {
            "LoadBalancerArn": {"Ref": balancer}, "Port": 80, "Protocol": "HTTP",
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": group}}],
        }})
    };
    let record = |color: &str, balancer: &str, weight: u32| {
        json!({"Type": "AWS::Route53::RecordSet", "Properties": {
            "HostedZoneId": {"Ref": "Zone"}, "Name": NAME, "Type": "A", "SetIdentifier": color, "Weight": weight,
            "AliasTarget": {
                "DNSName": {"Fn::GetAtt": [balancer, "DNSName"]},
                "HostedZoneId": {"Fn::GetAtt": [balancer, "CanonicalHostedZoneID"]},
            },
        }})
    };
    let alarm = |color: &str| {
        json!({"Type": "AWS::CloudWatch::Alarm", "Properties": {
            "AlarmName": format!("errors-{color}"), "Namespace": "Test", "MetricName": format!("Errors-{color}"),
            "Statistic": "Sum", "Period": 10, "EvaluationPeriods": 1, "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        }})
    };
    let output = |resource: &str| json!({"Value": {"Ref": resource}});
    let mut resources = json!({
        "State": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "switch-state", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        }},
        "BlueErrors": alarm("blue"),
        "GreenErrors": alarm("green"),
        "BlueGroup": group(ports[0]),
        "GreenGroup": group(ports[1]),
        "BlueNameGroup": group(ports[0]),
        "GreenNameGroup": group(ports[1]),
        "Live": balancer("live"),
        "BlueOnly": balancer("blue-only"),
        "GreenOnly": balancer("green-only"),
        "LiveListener": listener("Live", "BlueGroup"),
        "BlueListener": listener("BlueOnly", "BlueNameGroup"),
        "GreenListener": listener("GreenOnly", "GreenNameGroup"),
        "Rule": {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {
            "ListenerArn": {"Ref": "LiveListener"}, "Priority": 1,
            "Conditions": [{"Field": "path-pattern", "Values": ["/pay/*"]}],
            "Actions": [{"Type": "forward", "ForwardConfig": {
                "TargetGroups": [
                    {"TargetGroupArn": {"Ref": "BlueGroup"}, "Weight": 1},
                    {"TargetGroupArn": {"Ref": "GreenGroup"}, "Weight": 0},
                ],
            }}],
        }},
        "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "example.test"}},
        "BlueRecord": record("blue", "BlueOnly", 1),
        "GreenRecord": record("green", "GreenOnly", 0),
    });
    resources["Own"] = balancer("own");
    resources["OwnListener"] = closed(80);
    resources["TakenListener"] = closed(81);
    resources["OwnBlueGroup"] = group(ports[0]);
    resources["OwnGreenGroup"] = group(ports[1]);
    resources["Taken"] = json!({"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {
        "ListenerArn": {"Ref": "TakenListener"}, "Priority": 100,
        "Conditions": [{"Field": "path-pattern", "Values": ["/admin/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": {"Ref": "OwnBlueGroup"}}],
    }});
    resources["Api"] =
        json!({"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "routers"}});
    resources["Method"] = json!({"Type": "AWS::ApiGateway::Method", "Properties": {
        "RestApiId": {"Ref": "Api"}, "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
        "HttpMethod": "GET", "AuthorizationType": "NONE",
        "Integration": {
            "Type": "HTTP_PROXY", "IntegrationHttpMethod": "GET",
            "Uri": format!("http://127.0.0.1:{}/${{stageVariables.color}}", ports[2]),
        },
    }});
    resources["Deployment"] = json!({"Type": "AWS::ApiGateway::Deployment", "DependsOn": "Method",
        "Properties": {"RestApiId": {"Ref": "Api"}}});
    resources["Stage"] = json!({"Type": "AWS::ApiGateway::Stage", "Properties": {
        "RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "Deployment"}, "StageName": "prod",
        "Variables": {"color": "blue"},
    }});
    for (id, resource) in replication() {
        resources[id] = resource;
    }
    json!({
        "Resources": resources,
        "Outputs": {
            "Task": output("Task"),
            "Rule": output("Rule"), "BlueGroup": output("BlueGroup"), "GreenGroup": output("GreenGroup"),
            "Zone": output("Zone"), "Api": output("Api"),
            "OwnListener": output("OwnListener"), "TakenListener": output("TakenListener"),
            "OwnBlueGroup": output("OwnBlueGroup"), "OwnGreenGroup": output("OwnGreenGroup"),
        },
    })
}

/// A task that copies from blue to green.
fn replication() -> [(&'static str, Value); 5] {
    let endpoint = |kind: &str| {
        json!({"Type": "AWS::DMS::Endpoint", "Properties": {
            "EndpointIdentifier": format!("pay-{kind}"), "EndpointType": kind, "EngineName": "aurora",
            "ServerName": "127.0.0.1", "Port": "3306", "Username": "dms", "Password": "of-the-test",
        }})
    };
    let all = json!({"rules": [{
        "rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
        "object-locator": {"schema-name": "pay", "table-name": "payments"},
    }]});
    [
        (
            "Subnets",
            json!({"Type": "AWS::DMS::ReplicationSubnetGroup", "Properties": {
                "ReplicationSubnetGroupIdentifier": "group", "ReplicationSubnetGroupDescription": "two zones",
                "SubnetIds": ["subnet-a", "subnet-b"],
            }}),
        ),
        (
            "Copier",
            json!({"Type": "AWS::DMS::ReplicationInstance", "Properties": {
                "ReplicationInstanceIdentifier": "copier", "ReplicationInstanceClass": "dms.t3.medium",
                "ReplicationSubnetGroupIdentifier": {"Ref": "Subnets"},
            }}),
        ),
        ("Source", endpoint("source")),
        ("Target", endpoint("target")),
        (
            "Task",
            json!({"Type": "AWS::DMS::ReplicationTask", "Properties": {
                "ReplicationTaskIdentifier": "blue-to-green", "MigrationType": "full-load-and-cdc",
                "ReplicationInstanceArn": {"Ref": "Copier"}, "SourceEndpointArn": {"Ref": "Source"},
                "TargetEndpointArn": {"Ref": "Target"}, "TableMappings": all.to_string(),
            }}),
        ),
    ]
}
