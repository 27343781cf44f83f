//! Weighted records of Route 53: what they say of the split, and the change that makes another one of it.

use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use cutover_domain::switch::{Environment, Seen, Weights};

use crate::shares;

/// Weights are 0 to 255. The scale of a write is never the one that was read: so each write changes every value, and a
/// slower, older one, whose DELETE must name the values that it saw, is refused even where the split is the same again.
const SCALES: [u8; 2] = [1, 2];

/// Seconds that resolvers keep an answer that is an alias to a load balancer.
pub(crate) const ALIAS_TTL_SECONDS: u64 = 60;

/// What a record is to be made from, where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordTarget {
    /// An alias to another AWS resource, for example a load balancer.
    Alias {
        /// Its DNS name.
        dns_name: String,
        /// The hosted zone of its service and region, not the record's.
        hosted_zone_id: String,
        /// Whether the record answers only while its target is healthy.
        evaluate_target_health: bool,
    },
    /// Plain values.
    Values {
        /// For an A record, addresses; for a CNAME, one name.
        values: Vec<String>,
        /// Seconds that resolvers keep an answer. Route 53 wants the same in the whole group.
        ttl_seconds: u32,
    },
}

/// The name and type that both records share, and what tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) kind: RrType,
    pub(crate) blue: String,
    pub(crate) green: String,
}

/// All records of that name and type, as they were listed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Records(pub(crate) Vec<ResourceRecordSet>);

impl Key {
    pub(crate) fn is_of(&self, record: &ResourceRecordSet) -> bool {
        record.r#type == self.kind && normal(&record.name) == normal(&self.name)
    }

    pub(crate) fn identifier(&self, environment: Environment) -> &str {
        match environment {
            Environment::Blue => &self.blue,
            Environment::Green => &self.green,
        }
    }

    fn is_own(&self, record: &ResourceRecordSet) -> bool {
        [Environment::Blue, Environment::Green]
            .into_iter()
            .any(|environment| record.set_identifier() == Some(self.identifier(environment)))
    }
}

/// A name as Route 53 compares names: it lists them with a final dot, lower case, and some characters as `\052`.
pub(crate) fn normal(name: &str) -> String {
    let mut plain = String::with_capacity(name.len() + 1);
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        let code = (c == '\\')
            .then(|| rest.as_str().get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            plain.push(char::from(code));
            rest.by_ref().take(3).for_each(drop);
        } else {
            plain.push(c);
        }
    }
    plain.make_ascii_lowercase();
    if !plain.ends_with('.') {
        plain.push('.');
    }
    plain
}

impl Records {
    pub(crate) fn of(&self, key: &Key, environment: Environment) -> Option<&ResourceRecordSet> {
        let identifier = key.identifier(environment);
        let mut records = self.0.iter();
        records.find(|record| record.set_identifier() == Some(identifier))
    }

    /// What the records do with the traffic.
    pub(crate) fn seen(&self, key: &Key) -> Seen {
        if let Some(other) = self.0.iter().find(|record| !key.is_own(record)) {
            match (other.set_identifier(), other.weight()) {
                (Some(_), Some(0)) => {}
                (Some(other), Some(weight)) => {
                    return Seen::Foreign(format!("record {other} with weight {weight}"));
                }
                _ => return Seen::Foreign("a record that is not weighted".to_owned()),
            }
        }
        let record = |environment| self.of(key, environment);
        match (record(Environment::Blue), record(Environment::Green)) {
            (None, None) => Seen::Absent,
            (Some(blue), Some(green)) => match (blue.weight(), green.weight()) {
                (Some(blue), Some(green)) => match shares::percents(blue, green) {
                    Ok(weights) => Seen::Split(weights),
                    // All zero is no "nobody": Route 53 then answers with either.
                    Err(why) => Seen::Foreign(why),
                },
                _ => Seen::Foreign("a record that is not weighted".to_owned()),
            },
            (one, _) => {
                let there = if one.is_some() { &key.blue } else { &key.green };
                Seen::Foreign(format!("there is only the record {there}"))
            }
        }
    }

    /// Seconds that resolvers may keep an old answer.
    pub(crate) fn ttl_seconds(&self) -> Option<u64> {
        let ttl = |record: &ResourceRecordSet| match record.ttl() {
            Some(ttl) => u64::try_from(ttl).ok(),
            None => record.alias_target().map(|_| ALIAS_TTL_SECONDS),
        };
        self.0.iter().filter_map(ttl).max()
    }

    fn next_scale(&self, key: &Key) -> u8 {
        let weight = |environment| {
            self.of(key, environment)
                .and_then(ResourceRecordSet::weight)
        };
        let total = weight(Environment::Blue).unwrap_or_default()
            + weight(Environment::Green).unwrap_or_default();
        let [first, second] = SCALES;
        if total == i64::from(first) * 100 {
            second
        } else {
            first
        }
    }

    /// The change that gives both records their weights: all of it or nothing, and only if both are as they were listed.
    ///
    /// # Errors
    /// In words, if a record is missing and there is nothing to make it from.
    pub(crate) fn change(
        &self,
        key: &Key,
        weights: Weights,
        target: impl Fn(Environment) -> Option<RecordTarget>,
    ) -> Result<ChangeBatch, String> {
        let (blue, green) = shares::weights(weights, self.next_scale(key));
        let mut changes = Vec::with_capacity(4);
        for (environment, weight) in [(Environment::Blue, blue), (Environment::Green, green)] {
            let mut record = match (self.of(key, environment), target(environment)) {
                (Some(record), _) => {
                    changes.push(change(ChangeAction::Delete, record.clone())?);
                    record.clone()
                }
                (None, Some(target)) => made(key, environment, target)?,
                (None, None) => {
                    return Err(format!(
                        "there is no record {}, and ROUTERS has no {environment}Target to make it from",
                        key.identifier(environment)
                    ));
                }
            };
            record.weight = Some(weight);
            changes.push(change(ChangeAction::Create, record)?);
        }
        batch(changes)
    }

    /// The change that deletes both records; none if there are none.
    pub(crate) fn removal(&self, key: &Key) -> Result<Option<ChangeBatch>, String> {
        let own = self.0.iter().filter(|record| key.is_own(record));
        let changes = own
            .map(|record| change(ChangeAction::Delete, record.clone()))
            .collect::<Result<Vec<Change>, String>>()?;
        if changes.is_empty() {
            return Ok(None);
        }
        batch(changes).map(Some)
    }
}

fn change(action: ChangeAction, record: ResourceRecordSet) -> Result<Change, String> {
    let change = Change::builder().action(action).resource_record_set(record);
    change.build().map_err(|e| e.to_string())
}

fn batch(changes: Vec<Change>) -> Result<ChangeBatch, String> {
    let batch = ChangeBatch::builder().set_changes(Some(changes));
    batch.build().map_err(|e| e.to_string())
}

fn made(
    key: &Key,
    environment: Environment,
    target: RecordTarget,
) -> Result<ResourceRecordSet, String> {
    let mut record = ResourceRecordSet::builder()
        .name(&key.name)
        .r#type(key.kind.clone())
        .set_identifier(key.identifier(environment));
    match target {
        RecordTarget::Alias {
            dns_name,
            hosted_zone_id,
            evaluate_target_health,
        } => {
            let alias = AliasTarget::builder()
                .dns_name(dns_name)
                .hosted_zone_id(hosted_zone_id)
                .evaluate_target_health(evaluate_target_health);
            record = record.alias_target(alias.build().map_err(|e| e.to_string())?);
        }
        RecordTarget::Values {
            values,
            ttl_seconds,
        } => {
            record = record.ttl(i64::from(ttl_seconds));
            for value in values {
                let value = ResourceRecord::builder().value(value);
                record = record.resource_records(value.build().map_err(|e| e.to_string())?);
            }
        }
    }
    record.build().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        Key {
            name: "pay.example.com".to_owned(),
            kind: RrType::A,
            blue: "blue".to_owned(),
            green: "green".to_owned(),
        }
    }

    fn record(identifier: Option<&str>, weight: Option<i64>) -> ResourceRecordSet {
        ResourceRecordSet::builder()
            .name("pay.example.com.")
            .r#type(RrType::A)
            .set_set_identifier(identifier.map(ToOwned::to_owned))
            .set_weight(weight)
            .ttl(30)
            .health_check_id("hc-1")
            .build()
            .unwrap()
    }

    fn pair(blue: i64, green: i64) -> Records {
        Records(vec![
            record(Some("green"), Some(green)),
            record(Some("blue"), Some(blue)),
        ])
    }

    fn none(_: Environment) -> Option<RecordTarget> {
        None
    }

    /// What Route 53 holds after a batch.
    fn applied(batch: &ChangeBatch) -> Records {
        let created = batch
            .changes
            .iter()
            .filter(|change| change.action == ChangeAction::Create)
            .filter_map(|change| change.resource_record_set().cloned());
        Records(created.collect())
    }

    #[test]
    fn names_are_compared_as_route_53_lists_them() {
        for (listed, given) in [
            ("pay.example.com.", "pay.example.com"),
            ("pay.example.com.", "PAY.example.com."),
            ("\\052.example.com.", "*.example.com"),
            ("a\\100b.example.com.", "a@b.example.com"),
        ] {
            assert_eq!(normal(listed), normal(given));
        }
        assert_ne!(normal("pay.example.com"), normal("pay.example.org"));
        assert_eq!(normal("odd\\9name\\"), "odd\\9name\\.");
    }

    #[test]
    fn only_a_split_between_both_records_is_a_split() {
        let split = |percent| Seen::Split(Weights::share(Environment::Green, percent));
        assert_eq!(pair(90, 10).seen(&key()), split(10));
        assert_eq!(pair(200, 0).seen(&key()), split(0));
        let mut silent = pair(1, 1);
        silent.0.push(record(Some("old"), Some(0)));
        assert_eq!(silent.seen(&key()), split(50));
        assert_eq!(Records(Vec::new()).seen(&key()), Seen::Absent);
        let mut third = pair(90, 10);
        third.0.push(record(Some("old"), Some(1)));
        for (foreign, told) in [
            (pair(0, 0), "both weights are 0"),
            (pair(1, 2), "no whole percents"),
            (third, "record old"),
            (Records(vec![record(None, None)]), "not weighted"),
            (
                Records(vec![record(Some("blue"), Some(1))]),
                "only the record blue",
            ),
            (
                Records(vec![record(Some("green"), Some(1))]),
                "only the record green",
            ),
        ] {
            match foreign.seen(&key()) {
                Seen::Foreign(why) => assert!(why.contains(told), "{why}"),
                other => panic!("{foreign:?} is {other:?}"),
            }
        }
    }

    #[test]
    fn a_missing_record_is_made_from_its_target_or_not_at_all() {
        let empty = Records(Vec::new());
        let weights = Weights::all(Environment::Blue);
        let refused = empty.change(&key(), weights, none).unwrap_err();
        assert!(refused.contains("blueTarget"), "{refused}");
        let target = |_| {
            Some(RecordTarget::Alias {
                dns_name: "lb.example.com".to_owned(),
                hosted_zone_id: "Z2".to_owned(),
                evaluate_target_health: true,
            })
        };
        let made = applied(&empty.change(&key(), weights, target).unwrap());
        assert_eq!(made.seen(&key()), Seen::Split(weights));
        assert_eq!(made.ttl_seconds(), Some(ALIAS_TTL_SECONDS));
    }

    proptest! {
        #[test]
        fn an_order_changes_every_weight_and_nothing_else(
            blue in 0..=255_i64, green in 0..=255_i64, percent in 0..=100_u8,
        ) {
            let was = pair(blue, green);
            let wanted = Weights::share(Environment::Green, percent);
            let change = was.change(&key(), wanted, none).unwrap();
            let now = applied(&change);
            prop_assert_eq!(now.seen(&key()), Seen::Split(wanted));
            for environment in [Environment::Blue, Environment::Green] {
                let (old, new) = (was.of(&key(), environment).unwrap(), now.of(&key(), environment).unwrap());
                prop_assert!((0..=255).contains(&new.weight().unwrap()));
                let mut same = new.clone();
                same.weight = old.weight;
                prop_assert_eq!(&same, old);
            }
            // The same order again: the batch deletes what the first one made, and makes something else.
            let again = applied(&now.change(&key(), wanted, none).unwrap());
            prop_assert_eq!(again.seen(&key()), Seen::Split(wanted));
            prop_assert!(again != now, "so an older writer's DELETE does not match");
        }
    }
}
