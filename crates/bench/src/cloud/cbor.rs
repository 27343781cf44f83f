//! CBOR (RFC 8949), which CloudWatch speaks: as much of it as JSON has.

use serde_json::Value;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

/// A value's bytes. Numbers are whole ones.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut bytes);
    bytes
}

fn append(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(0xf6),
        Value::Bool(no) if !no => bytes.push(0xf4),
        Value::Bool(_) => bytes.push(0xf5),
        Value::Number(number) => match number.as_u64() {
            Some(number) => head(UNSIGNED, number, bytes),
            None => head(
                NEGATIVE,
                number.as_i64().unwrap_or(-1).unsigned_abs() - 1,
                bytes,
            ),
        },
        Value::String(text) => {
            head(TEXT, length(text.len()), bytes);
            bytes.extend(text.bytes());
        }
        Value::Array(list) => {
            head(LIST, length(list.len()), bytes);
            for value in list {
                append(value, bytes);
            }
        }
        Value::Object(map) => {
            head(MAP, length(map.len()), bytes);
            for (name, value) in map {
                head(TEXT, length(name.len()), bytes);
                bytes.extend(name.bytes());
                append(value, bytes);
            }
        }
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The kind of what follows, and a number in the fewest bytes that hold it.
fn head(kind: u8, number: u64, bytes: &mut Vec<u8>) {
    let kind = kind << 5;
    let [.., b3, b2, b1, b0] = number.to_be_bytes();
    match number {
        0..24 => bytes.push(kind | b0),
        24..0x100 => bytes.extend([kind | 0x18, b0]),
        0x100..0x1_0000 => bytes.extend([kind | 0x19, b1, b0]),
        0x1_0000..0x1_0000_0000 => bytes.extend([kind | 0x1a, b3, b2, b1, b0]),
        _ => {
            bytes.push(kind | 0x1b);
            bytes.extend(number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Appendix A of RFC 8949.
    #[test]
    fn the_standards_examples_are_encoded_so() {
        for (value, bytes) in [
            (json!(23), "17"),
            (json!(100), "1864"),
            (json!(1000), "1903e8"),
            (json!(1_000_000), "1a000f4240"),
            (json!(1_000_000_000_000_u64), "1b000000e8d4a51000"),
            (json!(-1000), "3903e7"),
            (json!(true), "f5"),
            (json!(false), "f4"),
            (json!(null), "f6"),
            (json!("IETF"), "6449455446"),
            (json!({"a": 1, "b": [2, 3]}), "a26161016162820203"),
        ] {
            let expected: Vec<u8> = (0..bytes.len() / 2)
                .map(|at| u8::from_str_radix(&bytes[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            assert_eq!(encode(&value), expected, "{value}");
        }
    }
}
