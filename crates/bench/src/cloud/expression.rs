//! Condition and update expressions of DynamoDB: what sessions are claimed with.

use serde_json::{Map, Value};

/// An item: attributes by name, each `{"S": ...}` and the like.
pub(super) type Item = Map<String, Value>;

/// An expression that is not understood: the request is refused, so that no subject gets by unnoticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotUnderstood(pub(super) String);

/// The names and values that an expression stands for.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) names: &'a Value,
    pub(super) values: &'a Value,
}

impl<'a> Bound<'a> {
    fn name(self, word: &'a str) -> Result<&'a str, NotUnderstood> {
        if !word.starts_with('#') {
            return Ok(word);
        }
        let name = self.names.get(word).and_then(Value::as_str);
        name.ok_or_else(|| NotUnderstood(word.to_owned()))
    }

    fn value(self, word: &str) -> Result<&'a Value, NotUnderstood> {
        let value = self.values.get(word).filter(|_| word.starts_with(':'));
        value.ok_or_else(|| NotUnderstood(word.to_owned()))
    }
}

/// The words and signs of an expression.
struct Tokens<'a> {
    all: Vec<&'a str>,
    next: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        let mut all = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_ascii_alphanumeric() || "#:_.-".contains(c);
            let length = if word(first) {
                rest.find(|c| !word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("<>") || rest.starts_with("<=") || rest.starts_with(">=") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            all.push(token);
            rest = after.trim_start();
        }
        Self { all, next: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.all.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn took(&mut self, token: &str) -> bool {
        let there = self.peek().is_some_and(|t| t.eq_ignore_ascii_case(token));
        self.next += usize::from(there);
        there
    }

    fn word(&mut self) -> Result<&'a str, NotUnderstood> {
        self.take().ok_or_else(|| NotUnderstood("the end".into()))
    }

    fn expect(&mut self, token: &str) -> Result<(), NotUnderstood> {
        let found = self.word()?;
        if found == token {
            Ok(())
        } else {
            Err(NotUnderstood(found.to_owned()))
        }
    }

    fn end(&self) -> Result<(), NotUnderstood> {
        self.peek()
            .map_or(Ok(()), |token| Err(NotUnderstood(token.to_owned())))
    }
}

/// Whether a condition holds for an item; for the empty one, if there is none.
pub(super) fn holds(
    condition: &str,
    bound: Bound<'_>,
    item: Option<&Item>,
) -> Result<bool, NotUnderstood> {
    let mut tokens = Tokens::of(condition);
    let nothing = Item::new();
    let held = any(&mut tokens, bound, item.unwrap_or(&nothing))?;
    tokens.end()?;
    Ok(held)
}

fn any(tokens: &mut Tokens<'_>, bound: Bound<'_>, item: &Item) -> Result<bool, NotUnderstood> {
    let mut held = all(tokens, bound, item)?;
    while tokens.took("OR") {
        held |= all(tokens, bound, item)?;
    }
    Ok(held)
}

fn all(tokens: &mut Tokens<'_>, bound: Bound<'_>, item: &Item) -> Result<bool, NotUnderstood> {
    let mut held = one(tokens, bound, item)?;
    while tokens.took("AND") {
        held &= one(tokens, bound, item)?;
    }
    Ok(held)
}

fn one(tokens: &mut Tokens<'_>, bound: Bound<'_>, item: &Item) -> Result<bool, NotUnderstood> {
    if tokens.took("(") {
        let held = any(tokens, bound, item)?;
        tokens.expect(")")?;
        return Ok(held);
    }
    if tokens.took("NOT") {
        return Ok(!one(tokens, bound, item)?);
    }
    let word = tokens.word()?;
    if let "attribute_exists" | "attribute_not_exists" = word {
        tokens.expect("(")?;
        let name = tokens.word()?;
        tokens.expect(")")?;
        return Ok(item.contains_key(bound.name(name)?) == (word == "attribute_exists"));
    }
    let (left, sign, right) = (item.get(bound.name(word)?), tokens.word()?, tokens.word()?);
    let right = bound.value(right)?;
    match sign {
        "=" => Ok(left == Some(right)),
        "<>" => Ok(left != Some(right)),
        "<" => Ok(number(left) < number(Some(right)) && left.is_some()),
        ">" => Ok(number(left) > number(Some(right))),
        _ => Err(NotUnderstood(sign.to_owned())),
    }
}

fn number(value: Option<&Value>) -> Option<i128> {
    value?.get("N")?.as_str()?.parse().ok()
}

/// Changes an item as an update expression says: `SET name = :value, ...` and `REMOVE name, ...`.
pub(super) fn update(
    expression: &str,
    bound: Bound<'_>,
    item: &mut Item,
) -> Result<(), NotUnderstood> {
    let mut tokens = Tokens::of(expression);
    while tokens.peek().is_some() {
        let setting = tokens.took("SET");
        if !setting && !tokens.took("REMOVE") {
            return Err(NotUnderstood(tokens.word()?.to_owned()));
        }
        loop {
            let name = bound.name(tokens.word()?)?;
            if setting {
                tokens.expect("=")?;
                let value = bound.value(tokens.word()?)?;
                item.insert(name.to_owned(), value.clone());
            } else {
                item.remove(name);
            }
            if !tokens.took(",") {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item() -> Item {
        let item = json!({"status": {"S": "processing"}, "owner": {"S": "a"}, "lease": {"N": "9"}});
        item.as_object().unwrap().clone()
    }

    fn ask(condition: &str, item: Option<&Item>) -> Result<bool, NotUnderstood> {
        let names = json!({"#status": "status", "#owner": "owner", "#none": "none"});
        let values = json!({":a": {"S": "a"}, ":b": {"S": "b"}, ":ten": {"N": "10"}});
        let bound = Bound {
            names: &names,
            values: &values,
        };
        holds(condition, bound, item)
    }

    #[test]
    fn conditions_are_read_as_the_service_does() {
        for (condition, here, absent) in [
            ("attribute_not_exists(#status)", false, true),
            ("attribute_exists(#status) AND #owner = :a", true, false),
            ("attribute_not_exists(#status) OR #owner = :a", true, true),
            ("#owner <> :a", false, true),
            (
                "(#owner = :b OR #owner = :a) AND NOT #none = :a",
                true,
                false,
            ),
            ("lease < :ten", true, false),
            ("lease > :ten", false, false),
        ] {
            assert_eq!(ask(condition, Some(&item())), Ok(here), "{condition}");
            assert_eq!(ask(condition, None), Ok(absent), "{condition}, no item");
        }
        for bad in [
            "",
            "#owner",
            "#owner = owner",
            "#other = :a",
            "size(#owner) = :a",
            "#owner = :a b",
        ] {
            assert!(ask(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn updates_set_and_remove() {
        let names = json!({"#o": "owner"});
        let values = json!({":b": {"S": "b"}});
        let bound = Bound {
            names: &names,
            values: &values,
        };
        let mut changed = item();
        update(
            "SET #o = :b, more = :b REMOVE status, lease",
            bound,
            &mut changed,
        )
        .unwrap();
        assert_eq!(
            Value::Object(changed.clone()),
            json!({"owner": {"S": "b"}, "more": {"S": "b"}})
        );
        assert!(update("ADD #o :b", bound, &mut changed).is_err());
        assert!(update("SET #o = #o", bound, &mut changed).is_err());
    }
}
