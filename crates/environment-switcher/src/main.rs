//! Wiring only: variables, clients, run.

use std::process::ExitCode;
use std::time::Duration;

use cutover_aws::alarms::CloudWatchAlarms;
use cutover_aws::config::{CallLimits, load};
use cutover_aws::lambda_alias::LambdaAlias;
use cutover_aws::notify::{SnsTopic, SsmStatusParameter};
use cutover_aws::switch_state::DynamoDbSwitchState;
use cutover_aws::validator_function::ValidatorFunction;
use cutover_custom_resource::Protocol;
use cutover_domain::switch::Policy;
use cutover_ports::switch::{Notifier, Router, Validator};
use environment_switcher::config::Config;
use environment_switcher::executor::Executor;
use environment_switcher::handler::Switcher;

/// A validation opens databases: it takes longer than a control-plane call, and is not repeated within an invocation.
const VALIDATION: CallLimits = CallLimits {
    connect: Duration::from_secs(1),
    attempt: Duration::from_mins(5),
    operation: Duration::from_mins(5),
    attempts_max: 1,
};

fn main() -> ExitCode {
    cutover_lambda::run::main(Config::read, build)
}

async fn build(config: Config) -> Switcher {
    let sdk = load(CallLimits::default()).await;

    let versions = config.versions();
    let alias = LambdaAlias::new(
        &sdk,
        config.router.function_name.clone(),
        config.router.alias.clone(),
    );
    let routers: Vec<Box<dyn Router>> = vec![Box::new(alias)];
    let mut notifiers: Vec<Box<dyn Notifier>> = Vec::new();
    if let Some(name) = config.status_parameter {
        notifiers.push(Box::new(SsmStatusParameter::new(&sdk, name)));
    }
    if let Some(arn) = config.topic_arn {
        notifiers.push(Box::new(SnsTopic::new(
            &sdk,
            arn,
            config.environment.clone(),
        )));
    }
    let validator: Option<Box<dyn Validator>> = match config.validator_function {
        Some(function) => {
            let patient = load(VALIDATION).await;
            Some(Box::new(ValidatorFunction::new(
                &patient,
                function,
                config.validator_properties,
            )))
        }
        None => None,
    };
    Switcher {
        executor: Executor {
            routers,
            alarms: Box::new(CloudWatchAlarms::new(&sdk)),
            guards: config.guards,
            validator,
            replication: None,
            counts: None,
            fence: None,
            tester: None,
            policy: Policy {
                tick_seconds: config.tick.as_secs(),
                ..Policy::default()
            },
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
        router: config.router,
        protocol: Protocol {
            allow_http_response_url: config.allow_http_response_url,
        },
        tick: config.tick,
    }
}
