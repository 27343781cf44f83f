//! AWS behind Cutover's ports. The only crate that names `aws-sdk-*`: one file per port, a feature per service.

pub mod config;
mod http_client;

// For payments.
pub mod call;
#[cfg(feature = "secretsmanager")]
pub mod secrets;
#[cfg(feature = "dynamodb")]
mod session_item;
#[cfg(feature = "dynamodb")]
pub mod session_store;
#[cfg(feature = "dynamodb")]
mod session_write;
#[cfg(feature = "s3")]
pub mod transaction_log;

// For the switch.
#[cfg(feature = "cloudwatch")]
pub mod alarm_tester;
#[cfg(feature = "cloudwatch")]
pub mod alarms;
#[cfg(feature = "elasticloadbalancingv2")]
pub mod alb;
#[cfg(feature = "elasticloadbalancingv2")]
mod alb_actions;
#[cfg(feature = "elasticloadbalancingv2")]
mod alb_health;
#[cfg(feature = "elasticloadbalancingv2")]
mod alb_rule;
#[cfg(test)]
#[cfg(feature = "elasticloadbalancingv2")]
mod alb_rule_tests;
#[cfg(test)]
#[cfg(feature = "elasticloadbalancingv2")]
mod alb_tests;
#[cfg(feature = "apigateway")]
pub mod api_gateway_canary;
#[cfg(test)]
#[cfg(feature = "apigateway")]
mod api_gateway_canary_tests;
#[cfg(feature = "cloudwatch")]
mod composite_rule;
#[cfg(feature = "cloudwatch")]
pub mod counts;
pub mod failure;
#[cfg(feature = "lambda")]
pub mod fence;
#[cfg(feature = "lambda")]
pub mod lambda_alias;
#[cfg(test)]
#[cfg(feature = "lambda")]
mod lambda_alias_tests;
#[cfg(feature = "cloudwatch")]
mod metric_data;
#[cfg(all(feature = "sns", feature = "ssm"))]
pub mod notify;
#[cfg(test)]
mod replay;
#[cfg(all(feature = "cloudwatch", feature = "databasemigration"))]
pub mod replication;
#[cfg(feature = "route53")]
pub mod route53;
#[cfg(feature = "route53")]
mod route53_records;
#[cfg(test)]
#[cfg(feature = "route53")]
mod route53_tests;
#[cfg(any(feature = "elasticloadbalancingv2", feature = "route53"))]
mod shares;
#[cfg(feature = "dynamodb")]
pub mod switch_state;
#[cfg(feature = "lambda")]
pub mod validator_function;

// For the validation before a migration.
#[cfg(any(feature = "backup", feature = "kms", feature = "rds"))]
pub mod validation;

// For the rotation of secrets.
#[cfg(feature = "secretsmanager")]
pub mod secret_versions;

// For the operator's command line, the lab and the tests.
#[cfg(feature = "operator")]
pub mod call_error;
#[cfg(feature = "operator")]
pub mod evidence;
#[cfg(feature = "operator")]
pub mod invoke;
#[cfg(feature = "operator")]
pub mod settings;
#[cfg(feature = "operator")]
pub mod stack;
