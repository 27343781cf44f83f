//! Three routers in the local cloud, servers of both colors behind them, and the real switch beside them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use cutover::lab::cloud::{Cloud, CloudOptions, REGION};
use cutover_aws::evidence::Evidence;
use cutover_aws::stack::Stacks;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::http::MessageReader;
use crate::sandbox::{Pending, Sandbox};
use crate::switch_template::template;
use crate::{binaries, project};

/// How long a stack may take.
const DEPLOY_MAX: Duration = Duration::from_mins(1);
/// What the switch has for one event.
const EVENT_MAX: Duration = Duration::from_secs(20);
/// How long anything that is waited for may take: a metric counts once its minute is over, and the next was begun.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time between two ticks of a test.
const TICK: Duration = Duration::from_millis(500);
/// Answers to CloudFormation that wait to be looked at.
const ANSWERS_MAX: usize = 16;
/// The name that the weighted records share.
pub(crate) const NAME: &str = "pay.example.test";

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

/// Where the switch sends its answers to CloudFormation.
struct Answers {
    port: u16,
    said: Mutex<mpsc::Receiver<Value>>,
    serving: JoinHandle<()>,
}

impl Answers {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (sender, said) = mpsc::channel(ANSWERS_MAX);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let (requests, mut responses) = connection.into_split();
                    let mut requests = MessageReader::new(requests);
                    while let Ok(Some(request)) = requests.next().await {
                        let body = serde_json::from_slice(&request.body).unwrap_or_default();
                        let _nobody_waits = sender.send(body).await;
                        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        let _it_is_gone = responses.write_all(response).await;
                    }
                });
            }
        });
        Self {
            port,
            said: Mutex::new(said),
            serving,
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.serving.abort();
    }
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
    /// Through the listener on which the switch makes its own rules.
    Own,
    /// The same, by the path of webhooks.
    OwnWebhooks,
    /// Through a rule of the stack's, of the same priority as one that the switch would make.
    Taken,
}

/// A variable's value, made from the stack's outputs.
pub type Made = fn(&BTreeMap<String, String>) -> Value;

/// All of it.
pub struct SwitchWorld {
    cloud: Cloud,
    outputs: BTreeMap<String, String>,
    switch: Sandbox,
    variables: Vec<(&'static str, String)>,
    answers: Answers,
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
    pub async fn start_with(variables: &[(&'static str, Made)]) -> Self {
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
        let switch = switch(&variables, folder.path()).await;
        let client = reqwest::Client::builder().no_proxy().build();
        let world = Self {
            cloud,
            outputs,
            switch,
            variables,
            answers: Answers::start().await,
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

    /// Begins a request of CloudFormation for `Custom::EnvironmentSwitch`.
    pub async fn begin_resource(&self, kind: &str) -> Pending {
        let url = format!("http://127.0.0.1:{}/answer", self.answers.port);
        let event = json!({
            "RequestType": kind, "ResponseURL": url, "RequestId": format!("request-{kind}"),
            "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/cutover/1",
            "LogicalResourceId": "EnvironmentSwitch", "ResourceType": "Custom::EnvironmentSwitch",
            "PhysicalResourceId": "environment-switch",
            "ResourceProperties": {"ServiceToken": "arn", "ActiveEnvironment": "blue", "DeploymentId": "1"},
        });
        self.switch.begin(&event, EVENT_MAX).await
    }

    /// What the switch sends to CloudFormation as its answer to such a request.
    pub async fn resource(&self, kind: &str) -> Value {
        let mut pending = self.begin_resource(kind).await;
        pending.wait(EVENT_MAX).await;
        let mut said = self.answers.said.lock().await;
        let answer = tokio::time::timeout(EVENT_MAX, said.recv()).await;
        answer.ok().flatten().expect("an answer to CloudFormation")
    }

    /// Kills the switch where it is, and starts it anew.
    pub async fn restart(&mut self) {
        self.switch.kill();
        self.switch = switch(&self.variables, self.folder.path()).await;
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

    /// Who answers a request: a color, or `nobody`.
    pub async fn color(&self, way: Way) -> String {
        let endpoint = self.cloud.endpoint();
        let request = match way {
            Way::Alb => self.client.get(format!("{endpoint}/_alb/live/pay/1")),
            Way::Own => self.client.get(format!("{endpoint}/_alb/own:80/pay/1")),
            Way::OwnWebhooks => self
                .client
                .get(format!("{endpoint}/_alb/own:80/webhooks/1")),
            Way::Taken => self.client.get(format!("{endpoint}/_alb/own:81/admin/1")),
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

async fn switch(variables: &[(&'static str, String)], folder: &Path) -> Sandbox {
    let log = folder.join("logs/environment-switcher.log");
    Sandbox::start(&binaries().join("environment-switcher"), variables, &log).await
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
