//! AWS behind Cutover's ports. The only crate that names `aws-sdk-*`: one file per port, a feature per service.

pub mod config;
