//! Wiring only: variables, clients, run.

use std::process::ExitCode;
use std::time::Duration;

use cutover_aws::alarm_tester::CloudWatchAlarmTester;
use cutover_aws::alarms::CloudWatchAlarms;
use cutover_aws::alb::Alb;
use cutover_aws::api_gateway_canary::ApiGatewayCanary;
use cutover_aws::config::{CallLimits, SharedConfig, load};
use cutover_aws::counts::CloudWatchCounts;
use cutover_aws::fence::FenceFunction;
use cutover_aws::lambda_alias::LambdaAlias;
use cutover_aws::notify::{SnsTopic, SsmStatusParameter};
use cutover_aws::replication::DmsReplication;
use cutover_aws::route53::Route53;
use cutover_aws::switch_state::DynamoDbSwitchState;
use cutover_aws::validator_function::ValidatorFunction;
use cutover_custom_resource::Protocol;
use cutover_domain::switch::Policy;
use cutover_ports::switch::{CountReader, Fence, Notifier, ReplicationReader, Router, Validator};
use environment_switcher::config::Config;
use environment_switcher::config_routers::RouterConfig;
use environment_switcher::executor::Executor;
use environment_switcher::handler::Switcher;

/// A validation opens databases: it takes longer than a control-plane call, and is not repeated within an invocation.
const VALIDATION: CallLimits = CallLimits {
    connect: Duration::from_secs(1),
    attempt: Duration::from_mins(5),
    operation: Duration::from_mins(5),
    attempts_max: 1,
};

/// The fence waits in each ledger for payments that are being written, up to 20 s, and for a cold start in the VPC. A tick
/// tries it again if it does not stand.
const FENCE: CallLimits = CallLimits {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(25),
    operation: Duration::from_secs(25),
    attempts_max: 1,
};

fn main() -> ExitCode {
    cutover_lambda::run::main(Config::read, build)
}

async fn build(config: Config) -> Switcher {
    let sdk = load(CallLimits::default()).await;

    let versions = config.versions();
    let mut routers: Vec<Box<dyn Router>> = config
        .routers
        .iter()
        .map(|one| router(&sdk, &config.environment, one))
        .collect();
    routers.sort_by_key(|router| router.effect_seconds());
    let (validator, fence) = validator_function(&config).await;
    let notifiers = notifiers(&sdk, &config);
    let policy = policy(&config);
    let replication: Option<Box<dyn ReplicationReader>> = match config.replication {
        Some(replication) => Some(Box::new(DmsReplication::new(&sdk, replication.tasks))),
        None => None,
    };
    let counts: Option<Box<dyn CountReader>> = match config.metrics {
        Some(sources) => Some(Box::new(CloudWatchCounts::new(&sdk, sources))),
        None => None,
    };
    Switcher {
        executor: Executor {
            routers,
            alarms: Box::new(CloudWatchAlarms::new(&sdk)),
            guards: config.guards,
            validator,
            replication,
            counts,
            fence,
            tester: Some(Box::new(CloudWatchAlarmTester::new(&sdk))),
            policy,
            store: Box::new(DynamoDbSwitchState::new(
                &sdk,
                config.state_table,
                &config.environment,
            )),
            notifiers,
            versions,
            clock: cutover_lambda::clock::now_ms,
        },
        environment: config.environment,
        routers: config.routers,
        protocol: Protocol {
            allow_http_response_url: config.allow_http_response_url,
        },
        tick: config.tick,
    }
}

fn policy(config: &Config) -> Policy {
    let default = Policy::default();
    let replication = config.replication.as_ref();
    Policy {
        tick_seconds: config.tick.as_secs(),
        max_lag_seconds: replication.map_or(default.max_lag_seconds, |r| r.max_lag_seconds),
    }
}

fn router(sdk: &SharedConfig, environment: &str, config: &RouterConfig) -> Box<dyn Router> {
    match config.clone() {
        RouterConfig::Alb { entry, blue, green } => {
            Box::new(Alb::new(sdk, entry, blue, green, environment))
        }
        RouterConfig::LambdaAlias {
            function, alias, ..
        } => Box::new(LambdaAlias::new(sdk, function, alias)),
        RouterConfig::Route53(entry) => Box::new(Route53::new(sdk, *entry)),
        RouterConfig::ApiGatewayCanary { api, stage } => {
            Box::new(ApiGatewayCanary::new(sdk, api, stage))
        }
    }
}

fn notifiers(sdk: &SharedConfig, config: &Config) -> Vec<Box<dyn Notifier>> {
    let mut notifiers: Vec<Box<dyn Notifier>> = Vec::new();
    if let Some(name) = &config.status_parameter {
        notifiers.push(Box::new(SsmStatusParameter::new(sdk, name.clone())));
    }
    if let Some(arn) = &config.topic_arn {
        let environment = config.environment.clone();
        notifiers.push(Box::new(SnsTopic::new(sdk, arn.clone(), environment)));
    }
    notifiers
}

/// What the function inside the VPC is asked for: the validation, and the fence if the ledgers' secrets are known.
async fn validator_function(
    config: &Config,
) -> (Option<Box<dyn Validator>>, Option<Box<dyn Fence>>) {
    let Some(function) = &config.validator_function else {
        return (None, None);
    };
    let properties = config.validator_properties.clone();
    let sdk = load(VALIDATION).await;
    let validator = ValidatorFunction::new(&sdk, function.clone(), properties);
    let Some((blue, green)) = &config.ledger_secrets else {
        return (Some(Box::new(validator)), None);
    };
    let sdk = load(FENCE).await;
    let fence = FenceFunction::new(&sdk, function.clone(), blue, green);
    (Some(Box::new(validator)), Some(Box::new(fence)))
}
