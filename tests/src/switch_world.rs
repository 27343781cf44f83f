//! Three routers in the local cloud, servers of both colors behind them, and the real switch beside them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cutover::lab::cloud::{Cloud, CloudOptions, REGION};
use cutover_aws::evidence::Evidence;
use cutover_aws::stack::Stacks;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http::MessageReader;
use crate::sandbox::Sandbox;
use crate::{binaries, project};

/// How long a stack may take.
const DEPLOY_MAX: Duration = Duration::from_mins(1);
/// What the switch has for one event.
const EVENT_MAX: Duration = Duration::from_secs(20);
/// How long anything that is waited for may take: a metric counts once its minute is over, and the next was begun.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time between two ticks of a test.
const TICK: Duration = Duration::from_millis(500);
/// The name that the weighted records share.
const NAME: &str = "pay.example.test";

/// A server that answers each request with the name that it has, or with the path's first part where it has none.
struct Origin {
    port: u16,
    serving: JoinHandle<()>,
}

impl Origin {
    async fn start(name: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, name));
            }
        });
        Self { port, serving }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(connection: TcpStream, name: Option<&'static str>) -> std::io::Result<()> {
    let (requests, mut responses) = connection.into_split();
    let mut requests = MessageReader::new(requests);
    while let Some(request) = requests.next().await? {
        let (_, path) = request.method_and_path();
        let first = path.trim_start_matches('/').split(['/', '?']).next();
        let body = name.or(first).unwrap_or_default();
        let length = body.len();
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        responses.write_all(response.as_bytes()).await?;
    }
    Ok(())
}

/// Where a request can be sent.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// Through the rule of the load balancer.
    Alb,
    /// By name.
    Dns,
    /// Through the stage of the REST API.
    Api,
}

/// All of it.
pub struct SwitchWorld {
    cloud: Cloud,
    outputs: BTreeMap<String, String>,
    switch: Sandbox,
    client: reqwest::Client,
    _origins: Vec<Origin>,
    folder: TempDir,
}

impl SwitchWorld {
    /// Starts everything; all traffic goes to blue.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`SwitchWorld::start`], with more of the switch's variables, each made from the stack's outputs.
    pub async fn start_with(variables: &[(&str, fn(&BTreeMap<String, String>) -> Value)]) -> Self {
        let more = variables;
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("logs")).expect("a writable folder");
        let options = CloudOptions {
            project: project(),
            folder: folder.path().to_owned(),
            tick_seconds: 60,
        };
        let cloud = Cloud::start(&options).await.expect("the local cloud");
        let origins = vec![
            Origin::start(Some("blue")).await,
            Origin::start(Some("green")).await,
            Origin::start(None).await,
        ];
        let ports: Vec<u16> = origins.iter().map(|origin| origin.port).collect();
        let outputs = deploy(&cloud, &template(&ports)).await;
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", cloud.endpoint().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("ENVIRONMENT", "dev-payment-router01".to_owned()),
            ("STATE_TABLE", "switch-state".to_owned()),
            ("ROUTERS", routers(&outputs).to_string()),
            (
                "ALARMS",
                json!({"blue": ["errors-blue"], "green": ["errors-green"]}).to_string(),
            ),
        ];
        let more = more
            .iter()
            .map(|(name, made)| (*name, made(&outputs).to_string()));
        variables.extend(more);
        let log = folder.path().join("logs/environment-switcher.log");
        let binary = binaries().join("environment-switcher");
        let switch = Sandbox::start(&binary, &variables, &log).await;
        let client = reqwest::Client::builder().no_proxy().build();
        let world = Self {
            cloud,
            outputs,
            switch,
            client: client.expect("a client"),
            _origins: origins,
            folder,
        };
        world.wait_for_names().await;
        world
    }

    /// New names take a moment to be answered.
    async fn wait_for_names(&self) {
        let began = Instant::now();
        loop {
            let said = self.color(Way::Dns).await;
            if said == "blue" {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{said}");
            tokio::time::sleep(TICK).await;
        }
    }

    /// What the switch answers to a command.
    pub async fn command(&self, command: &Value) -> Value {
        let mut pending = self.switch.begin(command, EVENT_MAX).await;
        let said = pending.wait(EVENT_MAX).await;
        let log =
            || std::fs::read_to_string(self.folder.path().join("logs/environment-switcher.log"));
        match said {
            Some(Ok(answer)) => answer,
            other => panic!("{command}: {other:?}\n{}", log().unwrap_or_default()),
        }
    }

    /// Repeats a command until its answer satisfies `is_right`.
    pub async fn until(&self, command: &Value, is_right: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.command(command).await;
            if is_right(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{command}: {answer:#}");
            tokio::time::sleep(TICK).await;
        }
    }

    /// Tells the local cloud something that AWS has no call for.
    pub async fn control(&self, topic: &str, what: &Value) {
        let url = format!("{}/_cutover/{topic}", self.cloud.endpoint());
        let sent = self.client.post(url).body(what.to_string()).send().await;
        let sent = sent.expect("an answer");
        let is_done = sent.status().is_success();
        assert!(
            is_done,
            "{topic}: {}",
            sent.text().await.unwrap_or_default()
        );
    }

    /// An output of the stack.
    #[must_use]
    pub fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }

    /// How many of `requests` requests green answers; every one is answered by one of both.
    pub async fn green_of(&self, way: Way, requests: u32) -> u32 {
        let mut green = 0;
        for _ in 0..requests {
            let color = self.color(way).await;
            assert!(
                ["blue", "green"].contains(&color.as_str()),
                "{way:?}: {color}"
            );
            green += u32::from(color == "green");
        }
        green
    }

    async fn color(&self, way: Way) -> String {
        let endpoint = self.cloud.endpoint();
        let request = match way {
            Way::Alb => self.client.get(format!("{endpoint}/_alb/live/pay/1")),
            Way::Dns => self
                .client
                .get(format!("{endpoint}/pay/1"))
                .header("host", NAME),
            Way::Api => {
                let stage = self.cloud.stage_url(&self.outputs["Api"], "prod");
                self.client.get(format!("{stage}/"))
            }
        };
        let answer = request.send().await.expect("an answer");
        answer.text().await.expect("a body")
    }

    /// Ends the local cloud in order; the rest ends with the drop.
    pub async fn stop(self) {
        self.cloud.stop().await;
    }
}

async fn deploy(cloud: &Cloud, template: &Value) -> BTreeMap<String, String> {
    let config = cloud.config().await;
    let evidence = Evidence::new(&config);
    evidence.create_bucket("templates").await.expect("a bucket");
    let template = template.to_string().into_bytes();
    let put = evidence.put("templates", "routers.json", template).await;
    put.expect("a template");
    let url = format!("{}/templates/routers.json", cloud.endpoint());
    Stacks::new(&config)
        .deploy("routers", &url, &BTreeMap::new(), DEPLOY_MAX)
        .await
        .expect("a stack")
}

fn routers(outputs: &BTreeMap<String, String>) -> Value {
    json!([
        {"type": "route53", "hostedZoneId": outputs["Zone"], "recordName": NAME, "recordType": "A",
         "blueSetIdentifier": "blue", "greenSetIdentifier": "green"},
        {"type": "alb", "ruleArn": outputs["Rule"], "blueTargetGroupArn": outputs["BlueGroup"],
         "greenTargetGroupArn": outputs["GreenGroup"]},
        {"type": "api-gateway-canary", "restApiId": outputs["Api"], "stageName": "prod"},
    ])
}

/// Servers of the colors on `ports`: blue, green, and one that answers with the path.
fn template(ports: &[u16]) -> Value {
    let group = |port: u16| {
        json!({"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {
            "TargetType": "ip", "Port": 80, "Protocol": "HTTP", "VpcId": "vpc-1", "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
            "Targets": [{"Id": "127.0.0.1", "Port": port}],
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
