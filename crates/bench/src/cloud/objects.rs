//! S3: objects by path, written once if asked so.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Answer;
use crate::http::Request;

/// The objects of all buckets, by path.
#[derive(Debug, Default)]
pub struct Objects(RefCell<HashMap<String, Vec<u8>>>);

impl Objects {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        let mut objects = self.0.borrow_mut();
        match request.method.as_str() {
            "PUT" => {
                let once = request.headers.get("if-none-match") == Some("*");
                if once && objects.contains_key(path) {
                    return error(412, "PreconditionFailed");
                }
                let encoding = request.headers.get("content-encoding").unwrap_or_default();
                let bytes = if encoding.contains("aws-chunked") {
                    let Some(bytes) = unchunked(&request.body) else {
                        return error(400, "IncompleteBody");
                    };
                    bytes
                } else {
                    request.body.clone()
                };
                objects.insert(path.to_owned(), bytes);
                xml(200, Vec::new())
            }
            "GET" => match objects.get(path) {
                Some(bytes) => xml(200, bytes.clone()),
                None => error(404, "NoSuchKey"),
            },
            _ => error(405, "MethodNotAllowed"),
        }
    }
}

/// The bytes of a body that comes in chunks of its own, below those of HTTP, so that its checksum can follow it.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(body.get(..end)?).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        if length == 0 {
            return Some(bytes);
        }
        bytes.extend_from_slice(body.get(end + 2..end + 2 + length)?);
        body = body.get(end + 4 + length..)?;
    }
}

fn xml(status: u16, body: Vec<u8>) -> Answer {
    Answer {
        status,
        content_type: "application/xml",
        body,
    }
}

fn error(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    xml(status, body.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_a_body_are_joined() {
        let body =
            b"3\r\nabc\r\n2;chunk-signature=0\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(unchunked(body).unwrap(), b"abcde");
        for bad in [&b"3\r\nab"[..], b"x\r\n", b""] {
            assert_eq!(unchunked(bad), None);
        }
    }
}
