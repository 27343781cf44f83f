//! Clusters by RDS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, Filter};
use cutover_domain::validation::clusters::Family;
use cutover_domain::validation::facts::{Cluster, Instance};
use cutover_ports::validation::{Clusters, LookError};

use super::look::{look, missing};

const CLUSTERS: &str = "rds:DescribeDBClusters";
const INSTANCES: &str = "rds:DescribeDBInstances";
const PARAMETERS: &str = "rds:DescribeDBClusterParameters";

/// Pages of parameters that are read: a group has some hundreds, a page a hundred.
const PAGES_MAX: usize = 20;

/// The clusters of the account and region.
#[derive(Debug, Clone)]
pub struct RdsClusters {
    client: Client,
}

impl RdsClusters {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    async fn describe(&self, id: &str) -> Result<DbCluster, LookError> {
        let answer = self
            .client
            .describe_db_clusters()
            .db_cluster_identifier(id)
            .send()
            .await
            .map_err(look(CLUSTERS))?;
        let clusters = answer.db_clusters.unwrap_or_default();
        clusters.into_iter().next().ok_or_else(|| missing(CLUSTERS))
    }

    async fn instances(&self, id: &str) -> Result<Vec<Instance>, LookError> {
        let filter = Filter::builder().name("db-cluster-id").values(id).build();
        let answer = self
            .client
            .describe_db_instances()
            .filters(filter)
            .send()
            .await
            .map_err(look(INSTANCES))?;
        let instances = answer.db_instances.unwrap_or_default().into_iter();
        Ok(instances
            .map(|instance| Instance {
                id: instance.db_instance_identifier.unwrap_or_default(),
                status: instance.db_instance_status,
                zone: instance.availability_zone,
            })
            .collect())
    }

    /// The value of the parameter that lets the engine replicate; none if it is not set.
    async fn replication_parameter(
        &self,
        cluster: &DbCluster,
    ) -> Result<Option<String>, LookError> {
        let family = cluster.engine().and_then(Family::of);
        let (Some(family), Some(group)) = (family, cluster.db_cluster_parameter_group()) else {
            return Ok(None);
        };
        let mut pages = self
            .client
            .describe_db_cluster_parameters()
            .db_cluster_parameter_group_name(group)
            .into_paginator()
            .send();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                break;
            };
            let parameters = page
                .map_err(look(PARAMETERS))?
                .parameters
                .unwrap_or_default();
            let found = parameters
                .into_iter()
                .find(|p| p.parameter_name() == Some(family.replication_parameter()));
            if let Some(found) = found {
                return Ok(found.parameter_value);
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Clusters for RdsClusters {
    async fn cluster(&self, id: &str) -> Result<Cluster, LookError> {
        let cluster = self.describe(id).await?;
        let instances = self.instances(id).await?;
        let replication_parameter = self.replication_parameter(&cluster).await?;
        Ok(Cluster {
            id: id.to_owned(),
            status: cluster.status,
            engine: cluster.engine,
            engine_version: cluster.engine_version,
            encrypted: cluster.storage_encrypted,
            key_id: cluster.kms_key_id,
            instances,
            replication_parameter,
        })
    }
}
