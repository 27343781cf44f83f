//! The lab's script: payments flow, green turns bad and is rolled back, then a good green takes over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_aws::alarms::CloudWatchAlarms;
use cutover_aws::invoke::Invoker;
use cutover_aws::settings::Settings;
use cutover_domain::switch::GuardReading;
use cutover_ports::switch::AlarmReader as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinHandle;

use super::case::Cases;
use super::client::PaymentClient;
use super::cloud::{Cloud, CloudOptions, REGION};
use super::fault_proxy::FaultProxy;
use super::ledgers::Ledgers;
use super::load::{Ledger, Load};
use super::stack::{Outputs, Release, cluster};
use super::telemetry::Telemetry;
use super::{Color, LabError};

/// How the lab runs.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The checkout.
    pub project: PathBuf,
    /// Where the functions' binaries are.
    pub binaries: PathBuf,
    /// Where the lab writes; emptied at the start.
    pub folder: PathBuf,
    /// Payments a second.
    pub rate: u32,
    /// Seed of the requests.
    pub seed: u64,
    /// Seconds that stand for one minute of a schedule.
    pub tick_seconds: u32,
    /// Payments in flight at most. Above it the lab slows down, and its report shows a lower rate.
    pub in_flight_max: usize,
    /// Only steady traffic, for this long, and no cutover.
    pub steady: Option<Duration>,
}

/// What a cutover took.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    /// From the tripping of a guard's alarm to its event at the switch.
    pub drill: Duration,
    /// From the first failed payment to 100 % blue, read back from the alias.
    pub rollback: Duration,
    /// Of it, until the switch ordered the rollback: the alarm's period, its evaluation and its event.
    pub detection: Duration,
    /// Of it, from the order until the switch itself read it back.
    pub execution: Duration,
    /// From the operator's start to `completed`.
    pub promotion: Duration,
}

/// Everything that runs: databases, local cloud, stack.
#[derive(Debug)]
pub struct Lab {
    /// The two ledgers.
    pub ledgers: Ledgers,
    /// The emulator.
    pub cloud: Cloud,
    /// The fault switch in front of green's ledger.
    pub green_fault: FaultProxy,
    /// What the stack put out.
    pub outputs: Outputs,
    release: Release,
    invoker: Invoker,
    settings: Settings,
    alarms: CloudWatchAlarms,
}

/// How often the alias is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(400);
/// How long an operator tries to reach the switch.
const COMMAND_MAX: Duration = Duration::from_secs(10);
/// How long a phase may take to come.
const PHASE_MAX: Duration = Duration::from_mins(2);

impl Lab {
    /// Brings everything up, with blue alone.
    pub async fn start(options: &LabOptions) -> Result<Self, LabError> {
        let ledgers = Ledgers::start(&options.project, &options.folder).await?;
        let green_fault = FaultProxy::start(ledgers.get(Color::Green).address()).await?;
        let cloud = Cloud::start(&CloudOptions {
            project: options.project.clone(),
            folder: options.folder.clone(),
            tick_seconds: options.tick_seconds,
        })
        .await?;
        let config = cloud.config().await;
        for (color, address) in [
            (Color::Blue, ledgers.get(Color::Blue).address()),
            (Color::Green, green_fault.address()),
        ] {
            cloud.place_database(&cluster(color), address).await?;
        }
        let release = Release::upload(
            &config,
            cloud.endpoint(),
            &options.project,
            &options.binaries,
            options.tick_seconds,
        )
        .await?;
        let outputs = release.deploy_blue().await?;
        let settings = Settings::new(&config);
        for (color, secret) in [
            (Color::Blue, "BlueDatabaseSecretArn"),
            (Color::Green, "GreenDatabaseSecretArn"),
        ] {
            let secret = settings.secret(outputs.get(secret)?).await?;
            ledgers.create_user(color, &secret).await?;
        }
        for (color, secret) in [
            (Color::Blue, "BlueOperationsSecretArn"),
            (Color::Green, "GreenOperationsSecretArn"),
        ] {
            let secret = settings.secret(outputs.get(secret)?).await?;
            ledgers.create_operator(color, &secret).await?;
        }
        Ok(Self {
            ledgers,
            cloud,
            green_fault,
            outputs,
            release,
            invoker: Invoker::new(&config),
            settings,
            alarms: CloudWatchAlarms::new(&config),
        })
    }

    /// A client of the REST API.
    pub fn client(&self) -> Result<PaymentClient, LabError> {
        let url = self.cloud.stage_url(
            self.outputs.get("ApiId")?,
            self.outputs.get("ApiStageName")?,
        );
        PaymentClient::new(url, Cloud::credentials(), REGION.to_owned())
            .map_err(|error| LabError::Unexpected(format!("no HTTP client: {error}")))
    }

    /// Payments to the REST API, at the lab's rate.
    pub fn start_load(
        &self,
        options: &LabOptions,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Load, LabError> {
        let client = self.client()?;
        let cases = Cases::new(&format!("lab{}", options.seed), options.seed);
        Ok(Load::start(
            client,
            cases,
            (options.rate, options.in_flight_max),
            Arc::clone(telemetry),
        ))
    }

    /// Watches the alias and the status parameter, as an operator's dashboard would, until the task is aborted.
    pub fn watch(&self, telemetry: &Arc<Telemetry>) -> Result<JoinHandle<()>, LabError> {
        let function = self
            .outputs
            .get("PaymentValidationFunctionName")?
            .to_owned();
        let parameter = self.outputs.get("StatusParameter")?.to_owned();
        let (invoker, settings, telemetry) = (
            self.invoker.clone(),
            self.settings.clone(),
            Arc::clone(telemetry),
        );
        let blue = self.outputs.get("BlueVersionNumber")?.to_owned();
        Ok(tokio::spawn(async move {
            loop {
                if let Ok(weights) = invoker.alias_weights(&function, "live").await {
                    let on_blue: f64 = weights
                        .iter()
                        .filter(|(version, _)| *version == blue)
                        .map(|(_, weight)| weight)
                        .sum();
                    telemetry.weight(100.0 - on_blue);
                }
                if let Ok(status) = settings.parameter(&parameter).await
                    && let Ok(status) = serde_json::from_str::<Value>(&status)
                    && let Some(phase) = status["phase"].as_str()
                {
                    telemetry.phase(phase);
                }
                tokio::time::sleep(WATCH_EVERY).await;
            }
        }))
    }

    /// Deploys green by a stack update and waits until its guards are healthy, as an operator would before a start.
    pub async fn deploy_green(&mut self, release: &str) -> Result<(), LabError> {
        self.outputs = self.release.deploy_green(release).await?;
        let names = self.outputs.get("GreenAlarmNames")?;
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let started = Instant::now();
        loop {
            let guards = self.alarms.read(&names).await;
            if guards.iter().all(GuardReading::is_healthy) {
                return Ok(());
            }
            if started.elapsed() > PHASE_MAX {
                let seen: Vec<String> = guards
                    .iter()
                    .map(|guard| format!("{} {}", guard.name, guard.describe()))
                    .collect();
                let seen = seen.join(", ");
                return Err(LabError::Unexpected(format!(
                    "green does not get healthy: {seen}"
                )));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A direct invocation of payment-validation, by its alias.
    pub async fn invoke_payment(&self, payload: &Value) -> Result<Value, LabError> {
        let function = self.outputs.get("PaymentValidationFunctionName")?;
        Ok(self
            .invoker
            .invoke(&format!("{function}:live"), payload)
            .await?)
    }

    /// Deletes the stack, with everything in it.
    pub async fn delete_stack(&self) -> Result<(), LabError> {
        self.release.delete().await
    }

    /// An operator's command to the switch, given again while the call itself fails.
    pub async fn command(&self, command: &Value) -> Result<Value, LabError> {
        let started = Instant::now();
        loop {
            match self.command_once(command).await {
                Ok(answer) => return Ok(answer),
                Err(error) if started.elapsed() > COMMAND_MAX => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// Any event to the switch, once.
    pub async fn command_once(&self, event: &Value) -> Result<Value, LabError> {
        let switcher = self.outputs.get("EnvironmentSwitcherFunctionName")?;
        Ok(self.invoker.invoke(switcher, event).await?)
    }

    /// Starts a migration to green.
    pub async fn start_migration(&self, migration: &str) -> Result<(), LabError> {
        let answer = self
            .command(&json!({
                "action": "start", "to": "green", "migrationId": migration,
                "strategy": {"type": "linear", "stepPercent": 25, "intervalSeconds": 8},
                "bakeSeconds": 12, "maxSeconds": 300,
                "operator": "lab", "reason": migration,
            }))
            .await?;
        match answer.get("error") {
            None => Ok(()),
            Some(error) => Err(LabError::Unexpected(format!(
                "{migration} was refused: {error}"
            ))),
        }
    }

    /// Waits until the switch says `wanted` and the alias agrees; another end is an error.
    pub async fn wait_for_phase(
        &self,
        wanted: &str,
        green_percent: u64,
    ) -> Result<Value, LabError> {
        let started = Instant::now();
        loop {
            let status = self.command(&json!({"action": "status"})).await?;
            let phase = status["phase"].as_str().unwrap_or_default();
            if phase == wanted && status["weights"]["green"] == green_percent {
                return Ok(status);
            }
            let ended = matches!(phase, "completed" | "rolled_back" | "failed");
            if (ended && phase != wanted) || started.elapsed() > PHASE_MAX {
                return Err(LabError::Unexpected(format!(
                    "waited for {wanted}, the switch says: {status}"
                )));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends everything that was started.
    pub async fn stop(self) {
        self.cloud.stop().await;
        self.ledgers.stop().await;
    }
}

/// The whole script. The traffic runs from the beginning to the end.
pub async fn run(
    lab: &mut Lab,
    options: &LabOptions,
    telemetry: &Arc<Telemetry>,
) -> Result<(Ledger, Timings), LabError> {
    let load = lab.start_load(options, telemetry)?;
    telemetry.mark("payments flow to blue");
    let watcher = lab.watch(telemetry)?;
    let timings = match options.steady {
        Some(duration) => {
            tokio::time::sleep(duration).await;
            Ok(Timings::default())
        }
        None => cutovers(lab, telemetry).await,
    };
    let ledger = load.finish().await;
    watcher.abort();
    Ok((ledger, timings?))
}

async fn cutovers(lab: &mut Lab, telemetry: &Arc<Telemetry>) -> Result<Timings, LabError> {
    tokio::time::sleep(Duration::from_secs(5)).await;
    telemetry.mark("green is deployed by a stack update");
    lab.deploy_green("1").await?;
    let drill = drill(lab, telemetry).await?;
    let rollback = bad_green(lab, telemetry).await?;
    let (detection, execution) = parts_of_rollback(lab, telemetry).await?;
    telemetry.mark("green is mended and deployed again");
    lab.deploy_green("2").await?;
    let promotion = good_green(lab, telemetry).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(Timings {
        drill,
        rollback,
        detection,
        execution,
        promotion,
    })
}

/// Proves, before green has any traffic, that an alarm's event takes its way to the switch.
async fn drill(lab: &Lab, telemetry: &Telemetry) -> Result<Duration, LabError> {
    telemetry.mark("a drill trips one of green's alarms");
    let began = Instant::now();
    let refused = |why: &Value| LabError::Unexpected(format!("the drill: {why}"));
    let order = json!({"action": "drill", "operator": "lab", "reason": "before the first cutover"});
    let answer = lab.command(&order).await?;
    if let Some(error) = answer.get("error") {
        return Err(refused(error));
    }
    loop {
        let status = lab.command(&json!({"action": "status"})).await?;
        let drill = &status["drill"];
        if drill["restored"] == true {
            if drill["by"] != "event" {
                return Err(refused(drill));
            }
            telemetry.mark("its event arrived, and it is restored");
            return seen_after(drill).ok_or_else(|| refused(drill));
        }
        if began.elapsed() > PHASE_MAX {
            return Err(LabError::Late {
                what: format!("the end of the drill ({drill})"),
                waited: PHASE_MAX,
            });
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// From `startedAt` to `seenAt` of a drill.
fn seen_after(drill: &Value) -> Option<Duration> {
    let at = |field: &str| OffsetDateTime::parse(drill[field].as_str()?, &Rfc3339).ok();
    (at("seenAt")? - at("startedAt")?).try_into().ok()
}

/// What the journal says of the rollback: from the first failed payment to the order, and from there to the read-back.
async fn parts_of_rollback(
    lab: &Lab,
    telemetry: &Telemetry,
) -> Result<(Duration, Duration), LabError> {
    let history = lab
        .command(&json!({"action": "history", "migrationId": "bad-green"}))
        .await?;
    let now = OffsetDateTime::now_utc();
    let since_failure = telemetry
        .first_failure()
        .map(|first| telemetry.elapsed().saturating_sub(first));
    let parts = || {
        let entries = history["entries"].as_array()?;
        let ordered = entries.iter().position(|e| e["action"] == "roll_back")?;
        let read_back = entries
            .iter()
            .skip(ordered)
            .find(|e| e["action"] == "verify");
        let at = |entry: &Value| OffsetDateTime::parse(entry["at"].as_str()?, &Rfc3339).ok();
        let (ordered, read_back) = (at(entries.get(ordered)?)?, at(read_back?)?);
        let detection = ordered - (now - since_failure?);
        Some((
            // The alarm may be ahead of the first answer that a client got.
            detection.try_into().unwrap_or_default(),
            (read_back - ordered).try_into().ok()?,
        ))
    };
    parts().ok_or_else(|| {
        LabError::Unexpected(format!("the journal does not tell the rollback: {history}"))
    })
}

async fn bad_green(lab: &Lab, telemetry: &Telemetry) -> Result<Duration, LabError> {
    lab.start_migration("bad-green").await?;
    telemetry.mark("cutover 1 starts");
    wait_for_weight(telemetry, |percent| percent >= 20.0).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    telemetry.forget_first_failure();
    lab.green_fault.set_fault(true);
    telemetry.mark("green's ledger dies");
    lab.wait_for_phase("rolled_back", 0).await?;
    let back = wait_for_weight(telemetry, |percent| percent <= 0.0).await?;
    telemetry.mark("all traffic is on blue again");
    lab.green_fault.set_fault(false);
    let first = telemetry.first_failure().ok_or_else(|| {
        LabError::Unexpected("green's ledger died and no payment failed".to_owned())
    })?;
    Ok(back.saturating_sub(first))
}

async fn good_green(lab: &Lab, telemetry: &Telemetry) -> Result<Duration, LabError> {
    lab.start_migration("good-green").await?;
    let began = telemetry.mark("cutover 2 starts");
    lab.wait_for_phase("completed", 100).await?;
    Ok(telemetry.mark("green has taken over").saturating_sub(began))
}

/// Waits until the alias's own weights satisfy `wanted`, and says when they did.
async fn wait_for_weight(
    telemetry: &Telemetry,
    wanted: impl Fn(f64) -> bool,
) -> Result<Duration, LabError> {
    let started = Instant::now();
    loop {
        if telemetry.snapshot().green_percent.is_some_and(&wanted) {
            return Ok(telemetry.elapsed());
        }
        let phase = telemetry.snapshot().phase;
        if started.elapsed() > PHASE_MAX {
            return Err(LabError::Late {
                what: format!("the alias's weight (the switch says {phase})"),
                waited: PHASE_MAX,
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
