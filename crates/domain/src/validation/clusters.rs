//! Clusters, each by itself and against each other.

use std::collections::BTreeSet;

use super::check::Judgement;
use super::facts::{Cluster, Key};
use super::text::listed;

/// Instances and zones that a cluster needs to survive the loss of one.
const COPIES_MIN: usize = 2;

/// What a cluster must be, in words.
pub const EXPECTED: &str =
    "available, encrypted with a customer's key, two instances in two zones, replication on";

/// The two families of engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// MySQL, MariaDB, Aurora MySQL.
    Mysql,
    /// PostgreSQL, Aurora PostgreSQL.
    Postgres,
}

impl Family {
    /// The family of an RDS engine's name.
    #[must_use]
    pub fn of(engine: &str) -> Option<Self> {
        match engine {
            "aurora-mysql" | "mysql" | "mariadb" | "aurora" => Some(Self::Mysql),
            "aurora-postgresql" | "postgres" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// The cluster parameter that lets the engine replicate into another.
    #[must_use]
    pub fn replication_parameter(self) -> &'static str {
        match self {
            Self::Mysql => "binlog_format",
            Self::Postgres => "rds.logical_replication",
        }
    }

    /// What that parameter must be.
    #[must_use]
    pub fn replication_value(self) -> &'static str {
        match self {
            Self::Mysql => "ROW",
            Self::Postgres => "1",
        }
    }
}

/// A cluster by itself. `key` is what was seen of the key that it is encrypted with, or what kept from seeing it.
#[must_use]
pub fn cluster(cluster: &Cluster, key: Option<Result<&Key, Judgement>>) -> Judgement {
    Judgement::all(&[
        available(cluster),
        encrypted(cluster, key),
        copies(cluster),
        replicates(cluster),
    ])
}

fn available(cluster: &Cluster) -> Judgement {
    let seen = cluster.status.as_deref().unwrap_or("in no state");
    let observed = format!("cluster {} is {seen}", cluster.id);
    if seen == "available" {
        Judgement::pass(observed, "available")
    } else {
        Judgement::fail(observed, "available", "wait until it is, or mend it")
    }
}

fn encrypted(cluster: &Cluster, key: Option<Result<&Key, Judgement>>) -> Judgement {
    const EXPECTED: &str = "encrypted with a customer's key";
    let advice = "restore it from a snapshot that is copied with a customer managed key: a cluster can't be encrypted later";
    match (cluster.encrypted, key) {
        (Some(true), Some(Ok(key))) => match key.customer_managed {
            Some(true) => Judgement::pass(format!("encrypted with {}", key.id), EXPECTED),
            Some(false) => Judgement::fail(
                format!("encrypted with AWS's own key {}", key.id),
                EXPECTED,
                advice,
            ),
            None => Judgement::unknown(
                format!("who manages key {} is not told", key.id),
                EXPECTED,
                "look at the key",
            ),
        },
        (Some(true), Some(Err(blind))) => blind,
        (Some(true), None) => Judgement::unknown(
            "encrypted, with a key that is not named",
            EXPECTED,
            "look at the cluster",
        ),
        (Some(false) | None, _) => Judgement::fail("not encrypted", EXPECTED, advice),
    }
}

fn copies(cluster: &Cluster) -> Judgement {
    let expected = format!("{COPIES_MIN} available instances in {COPIES_MIN} zones");
    let is_up = |status: Option<&String>| status.is_some_and(|status| status == "available");
    let up = cluster
        .instances
        .iter()
        .filter(|instance| is_up(instance.status.as_ref()));
    let zones: BTreeSet<&str> = up.clone().filter_map(|i| i.zone.as_deref()).collect();
    let zones: Vec<&str> = zones.into_iter().collect();
    let down: Vec<String> = cluster
        .instances
        .iter()
        .filter(|instance| !is_up(instance.status.as_ref()))
        .map(|i| {
            format!(
                "{} is {}",
                i.id,
                i.status.as_deref().unwrap_or("in no state")
            )
        })
        .collect();
    let mut observed = format!(
        "{} of {} instances available, in zones {}",
        up.clone().count(),
        cluster.instances.len(),
        if zones.is_empty() {
            "none".to_owned()
        } else {
            listed(&zones, 6)
        }
    );
    if !down.is_empty() {
        observed = format!("{observed} ({})", listed(&down, 3));
    }
    if up.count() >= COPIES_MIN && zones.len() >= COPIES_MIN {
        Judgement::pass(observed, expected)
    } else {
        Judgement::fail(
            observed,
            expected,
            "add a reader in another zone, and wait until it is available",
        )
    }
}

fn replicates(cluster: &Cluster) -> Judgement {
    let Some(family) = cluster.engine.as_deref().and_then(Family::of) else {
        let engine = cluster.engine.as_deref().unwrap_or("none");
        return Judgement::fail(
            format!("engine {engine}"),
            "a MySQL or PostgreSQL engine",
            "use a supported engine",
        );
    };
    let (name, value) = (family.replication_parameter(), family.replication_value());
    let expected = format!("{name} = {value}");
    match cluster.replication_parameter.as_deref() {
        Some(seen) if seen.eq_ignore_ascii_case(value) => {
            Judgement::pass(format!("{name} = {seen}"), expected)
        }
        seen => Judgement::fail(
            format!(
                "{name} = {}",
                seen.filter(|s| !s.is_empty()).unwrap_or("not set")
            ),
            expected,
            format!("set {name} to {value} in the cluster's parameter group and reboot the writer"),
        ),
    }
}

/// Whether two clusters can replicate into each other, which the way back needs.
///
/// MySQL replicates only within a release series towards an older server (MySQL manual, "Replication Compatibility Between
/// MySQL Versions"), so both must be of the same one, and green not older than blue. PostgreSQL's logical replication
/// goes both ways between major versions (PostgreSQL manual, "Logical Replication"): green must not be older.
#[must_use]
pub fn compatibility(blue: &Cluster, green: &Cluster) -> Judgement {
    const EXPECTED: &str = "the same engine family, compatible versions, green not older than blue";
    let told = |cluster: &Cluster| {
        format!(
            "{} {}",
            cluster.engine.as_deref().unwrap_or("no engine"),
            cluster.engine_version.as_deref().unwrap_or("no version")
        )
    };
    let observed = format!("blue is {}, green is {}", told(blue), told(green));
    let family = |cluster: &Cluster| cluster.engine.as_deref().and_then(Family::of);
    let (Some(of_blue), Some(of_green)) = (family(blue), family(green)) else {
        return Judgement::unknown(observed, EXPECTED, "use engines that are supported");
    };
    if of_blue != of_green {
        return Judgement::fail(observed, EXPECTED, "use one engine family for both");
    }
    let version = |cluster: &Cluster| {
        let text = cluster.engine_version.as_deref()?;
        Version::read(of_blue, text)
    };
    let (Some(b), Some(g)) = (version(blue), version(green)) else {
        return Judgement::unknown(observed, EXPECTED, "look at the clusters' versions");
    };
    if of_blue == Family::Mysql && b.series != g.series {
        return Judgement::fail(
            observed,
            EXPECTED,
            "use the same series: a newer one does not replicate back into an older one, so there is no way back",
        );
    }
    // Aurora counts its own releases: they compare with those of the same engine only.
    let is_older = if blue.engine == green.engine {
        g < b
    } else {
        g.series < b.series
    };
    if is_older {
        return Judgement::fail(
            observed,
            EXPECTED,
            "upgrade green to blue's version or later",
        );
    }
    Judgement::pass(observed, EXPECTED)
}

/// A version: its release series first, then what comes after.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    series: Vec<u32>,
    rest: Vec<u32>,
}

impl Version {
    /// `8.0.mysql_aurora.3.10.1` is series 8.0, rest 3.10.1; `8.0.39` is 8.0 and 39; `17.4` of PostgreSQL is 17 and 4.
    fn read(family: Family, text: &str) -> Option<Self> {
        let numbers: Vec<u32> = text
            .split('.')
            .filter(|part| !part.contains("aurora"))
            .map(|part| part.split('-').next().unwrap_or(part).parse().ok())
            .collect::<Option<_>>()?;
        let of_series = match family {
            Family::Mysql => 2,
            Family::Postgres => 1,
        };
        let (series, rest) = numbers.split_at_checked(of_series)?;
        Some(Self {
            series: series.to_vec(),
            rest: rest.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;
    use crate::validation::facts::Instance;

    fn good() -> Cluster {
        let instance = |id: &str, zone: &str| Instance {
            id: id.to_owned(),
            status: Some("available".to_owned()),
            zone: Some(zone.to_owned()),
        };
        Cluster {
            id: "blue".to_owned(),
            status: Some("available".to_owned()),
            engine: Some("aurora-mysql".to_owned()),
            engine_version: Some("8.0.mysql_aurora.3.10.1".to_owned()),
            encrypted: Some(true),
            key_id: Some("key".to_owned()),
            instances: vec![instance("w", "a"), instance("r", "b")],
            replication_parameter: Some("ROW".to_owned()),
        }
    }

    fn own_key(customer_managed: Option<bool>) -> Key {
        Key {
            id: "key".to_owned(),
            state: Some("Enabled".to_owned()),
            customer_managed,
        }
    }

    fn status(change: impl FnOnce(&mut Cluster)) -> (Status, String) {
        let mut changed = good();
        change(&mut changed);
        let judged = cluster(&changed, Some(Ok(&own_key(Some(true)))));
        (judged.status, judged.observed)
    }

    /// What makes good evidence worse.
    type Change = fn(&mut Cluster);

    #[test]
    fn a_good_cluster_passes() {
        assert_eq!(status(|_| ()).0, Status::Pass);
    }

    #[test]
    fn each_thing_that_is_wrong_fails_by_itself() {
        let changes: [(Change, &str); 9] = [
            (|c| c.status = Some("modifying".to_owned()), "modifying"),
            (|c| c.status = None, "no state"),
            (|c| c.encrypted = Some(false), "not encrypted"),
            (|c| c.encrypted = None, "not encrypted"),
            (|c| c.instances.truncate(1), "1 of 1"),
            (|c| c.instances[1].zone = Some("a".to_owned()), "zones a"),
            (
                |c| c.instances[1].status = Some("creating".to_owned()),
                "creating",
            ),
            (|c| c.replication_parameter = Some("OFF".to_owned()), "OFF"),
            (|c| c.replication_parameter = None, "not set"),
        ];
        for (change, told) in changes {
            let (status, observed) = status(change);
            assert_eq!(status, Status::Fail, "{told}");
            assert!(observed.contains(told), "{told} in {observed}");
        }
    }

    #[test]
    fn a_key_that_could_not_be_seen_is_unknown_and_awss_own_fails() {
        let judged = |customer_managed| {
            let key = own_key(customer_managed);
            cluster(&good(), Some(Ok(&key))).status
        };
        assert_eq!(judged(Some(false)), Status::Fail);
        assert_eq!(judged(None), Status::Unknown);
        assert_eq!(cluster(&good(), None).status, Status::Unknown);
        let blind = Judgement::unknown("denied", "", "");
        assert_eq!(cluster(&good(), Some(Err(blind))).status, Status::Unknown);
    }

    #[test]
    fn clusters_are_compatible_where_there_is_a_way_back() {
        use Status::{Fail, Pass, Unknown};
        for (blue, green, status) in [
            (
                "aurora-mysql 8.0.mysql_aurora.3.10.1",
                "aurora-mysql 8.0.mysql_aurora.3.10.1",
                Pass,
            ),
            (
                "aurora-mysql 8.0.mysql_aurora.3.8.0",
                "aurora-mysql 8.0.mysql_aurora.3.10.0",
                Pass,
            ),
            (
                "aurora-mysql 8.0.mysql_aurora.3.10.1",
                "aurora-mysql 8.0.mysql_aurora.3.8.0",
                Fail,
            ),
            (
                "aurora-mysql 8.0.mysql_aurora.3.10.1",
                "aurora-mysql 8.4.mysql_aurora.8.4.0",
                Fail,
            ),
            (
                "aurora-mysql 8.0.mysql_aurora.3.10.1",
                "aurora-postgresql 17.4",
                Fail,
            ),
            ("aurora-postgresql 16.6", "aurora-postgresql 17.4", Pass),
            ("aurora-postgresql 17.4", "aurora-postgresql 16.6", Fail),
            ("mysql 8.0.39", "aurora-mysql 8.0.mysql_aurora.3.10.1", Pass),
            ("oracle 19", "oracle 19", Unknown),
            ("aurora-mysql latest", "aurora-mysql latest", Unknown),
        ] {
            let read = |text: &str| {
                let (engine, version) = text.split_once(' ').unwrap();
                Cluster {
                    engine: Some(engine.to_owned()),
                    engine_version: Some(version.to_owned()),
                    ..good()
                }
            };
            let judged = compatibility(&read(blue), &read(green));
            assert_eq!(judged.status, status, "{blue} to {green}");
        }
        let nothing = Cluster::default();
        assert_eq!(compatibility(&nothing, &nothing).status, Unknown);
    }
}
