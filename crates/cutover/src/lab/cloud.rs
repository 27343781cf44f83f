//! The local cloud: the emulator with the project's own launcher, on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use cutover_aws::config::{self, CallLimits, SharedConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::LabError;
use super::process::{Process, free_port};

/// How long the emulator may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(30);
/// How long it may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(8);
/// The region that the local cloud stands for.
pub const REGION: &str = "us-east-1";

/// A running emulator.
#[derive(Debug)]
pub struct Cloud {
    process: Process,
    endpoint: String,
}

/// How the emulator is started.
#[derive(Debug, Clone)]
pub struct CloudOptions {
    /// The checkout: its `.venv` and its `local-cloud` are used.
    pub project: PathBuf,
    /// Where the emulator may write.
    pub folder: PathBuf,
    /// Seconds that stand for one minute of a schedule.
    pub tick_seconds: u32,
}

impl Cloud {
    /// Starts the emulator and waits until it answers.
    pub async fn start(options: &CloudOptions) -> Result<Self, LabError> {
        let python = options.project.join(".venv/bin/python");
        if !python.exists() {
            return Err(LabError::Setup {
                what: format!("{} is missing", python.display()),
                why: "`make setup` creates the Python environment".to_owned(),
            });
        }
        let port = free_port().await?;
        let args = [
            "-m".to_owned(),
            "cutover_cloud".to_owned(),
            "--port".to_owned(),
            port.to_string(),
            "--run-dir".to_owned(),
            options.folder.display().to_string(),
            "--enforce-permissions".to_owned(),
            "--with-parent".to_owned(),
            "--tick-seconds".to_owned(),
            options.tick_seconds.to_string(),
        ];
        let path = options.project.join("local-cloud").display().to_string();
        let log = options.folder.join("logs/cloud.log");
        let process = Process::start("local cloud", &python, args, &[("PYTHONPATH", path)], &log)?;
        let mut cloud = Self {
            process,
            endpoint: format!("http://127.0.0.1:{port}"),
        };
        cloud.wait_until_ready().await?;
        Ok(cloud)
    }

    /// The endpoint of every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Says where a database cluster is, so that the stack that makes it finds a server there.
    pub async fn place_database(&self, cluster: &str, address: SocketAddr) -> Result<(), LabError> {
        let place = json!({
            "cluster": cluster, "host": address.ip().to_string(), "port": address.port(),
        });
        let failed = |error: reqwest::Error| {
            LabError::Unexpected(format!(
                "the local cloud did not take where {cluster} is: {error}"
            ))
        };
        http_client()?
            .post(format!("{}/_cutover/database", self.endpoint))
            .body(place.to_string())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        Ok(())
    }

    /// Configuration of clients with every right in the local cloud.
    pub async fn config(&self) -> SharedConfig {
        let limits = CallLimits {
            attempt: Duration::from_mins(1),
            operation: Duration::from_secs(70),
            ..CallLimits::default()
        };
        config::load_local(limits, self.endpoint(), REGION, Self::credentials()).await
    }

    /// The emulator's root credentials. They open nothing else.
    pub fn credentials() -> Credentials {
        Credentials::new("test", "test", None, None, "the local cloud")
    }

    /// The URL of a REST API's stage.
    pub fn stage_url(&self, api: &str, stage: &str) -> String {
        format!("{}/_aws/execute-api/{api}/{stage}", self.endpoint)
    }

    /// The function processes that run at present, oldest first.
    pub fn function_processes(&self) -> Vec<Pid> {
        let Some(cloud) = self.process.id() else {
            return Vec::new();
        };
        let mut children: Vec<i32> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| is_function(*pid, cloud))
            .collect();
        children.sort_unstable();
        children.into_iter().map(Pid::from_raw).collect()
    }

    /// Ends the emulator, and with it every function process.
    pub async fn stop(self) {
        self.process.stop(STOP_MAX).await;
    }

    /// Kills a function process, as the machine under it does when it dies: no signal handler runs.
    pub fn kill_function(pid: Pid) -> Result<(), LabError> {
        kill(pid, Signal::SIGKILL)
            .map_err(|error| LabError::process("function", "kill it")(error.into()))
    }

    async fn wait_until_ready(&mut self) -> Result<(), LabError> {
        let started = Instant::now();
        let url = format!("{}/_ministack/ready", self.endpoint);
        loop {
            self.process.check_alive()?;
            let answer = http_client()?.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if started.elapsed() > START_MAX {
                return Err(LabError::Late {
                    what: "the local cloud's start".to_owned(),
                    waited: START_MAX,
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A client of the emulator's own pages.
fn http_client() -> Result<reqwest::Client, LabError> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()
        .map_err(|error| LabError::Unexpected(error.to_string()))
}

/// Whether `pid` is a `bootstrap` that the emulator started.
fn is_function(pid: i32, cloud: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // pid (comm) state ppid ...; the name may hold spaces, but no function's does.
    let mut fields = stat.split(' ').skip(1);
    let name = fields.next();
    let parent = fields.nth(1);
    name == Some("(bootstrap)") && parent.is_some_and(|parent| parent == cloud.to_string())
}
