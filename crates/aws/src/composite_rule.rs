//! The rule of a composite alarm: which alarms it looks at.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html>

/// What a rule asks of an alarm.
const STATES: [&str; 3] = ["ALARM", "OK", "INSUFFICIENT_DATA"];

/// Words that stand between alarms.
const WORDS: [&str; 5] = ["AND", "OR", "NOT", "TRUE", "FALSE"];

/// Names of the alarms in a rule such as `ALARM("errors") AND NOT OK(traffic)`. None if it is not understood, or names none.
pub(crate) fn members(rule: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = rule.trim_start();
    while let Some(first) = rest.chars().next() {
        if matches!(first, '(' | ')') {
            rest = rest.get(1..)?.trim_start();
            continue;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_uppercase() && c != '_')
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        rest = after.trim_start();
        if STATES.contains(&word) {
            let (name, after) = argument(rest)?;
            names.push(name);
            rest = after.trim_start();
        } else if !WORDS.contains(&word) {
            // AT_LEAST and whatever may come: better not known than known wrongly.
            return None;
        }
    }
    (!names.is_empty()).then_some(names)
}

/// `("errors")`, `(errors)` or `(arn:...)`, and what follows it.
fn argument(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('(')?.trim_start();
    let (name, after) = match inside.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => inside.split_at_checked(inside.find(')')?)?,
    };
    let after = after.trim_start().strip_prefix(')')?;
    let name = name.trim();
    // arn:aws:cloudwatch:region:account:alarm:name
    let name = match name.splitn(7, ':').nth(6) {
        Some(of_arn) if name.starts_with("arn:") => of_arn,
        _ => name,
    };
    (!name.is_empty()).then(|| (name.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_of_a_rule_is_found() {
        for (rule, names) in [
            ("ALARM(errors)", vec!["errors"]),
            (
                "(ALARM(\"a) b\") OR ALARM( c )) AND NOT OK(\"d:e\")",
                vec!["a) b", "c", "d:e"],
            ),
            (
                "ALARM(\"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:x:y\") OR FALSE",
                vec!["x:y"],
            ),
            ("INSUFFICIENT_DATA(a)", vec!["a"]),
        ] {
            assert_eq!(members(rule).unwrap(), names, "{rule}");
        }
        for unclear in [
            "",
            "TRUE",
            "AT_LEAST(2, ALARM, (a, b, c))",
            "ALARM()",
            "ALARM(a",
            "ALARM(\"a)",
            "ALARM a",
            "alarm(a)",
            "ALARM(a) xor",
        ] {
            assert_eq!(members(unclear), None, "{unclear}");
        }
    }
}
