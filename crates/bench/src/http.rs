//! HTTP/1.1 with nothing to it: enough for the Runtime API, the services, and a client that is the floor.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest head, in bytes.
const HEAD_BYTES_MAX: usize = 65_536;
/// Largest body, in bytes: no event and no answer of Lambda is larger.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Headers of a message, at most.
const HEADERS_MAX: usize = 96;
const READ_BYTES: usize = 16_384;

/// Headers, names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first header of that name (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.get(name)
            .is_some_and(|found| found.to_ascii_lowercase().contains(value))
    }

    fn length(&self) -> Result<usize> {
        match self.get("content-length") {
            None => Ok(0),
            Some(digits) => match digits.parse() {
                Ok(length) if length <= BODY_BYTES_MAX => Ok(length),
                _ => Err(bad("content-length")),
            },
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Headers.
    pub headers: Headers,
    /// The body; chunks are joined.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
    /// The body; chunks are joined.
    pub body: Vec<u8>,
}

/// A connection.
pub struct Wire<S> {
    stream: S,
    /// What was read and belongs to a message that is not complete.
    buffer: Vec<u8>,
}

fn bad(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection that stands.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The next request; nothing if the other side has closed between two.
    ///
    /// # Errors
    /// It broke, or is no HTTP.
    pub async fn request(&mut self) -> Result<Option<Request>> {
        let Some(length) = self.head().await? else {
            return Ok(None);
        };
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed
            .parse(&self.buffer)
            .map_err(|_| bad("request head"))?;
        let method = parsed.method.unwrap_or_default().to_owned();
        let path = parsed.path.unwrap_or_default().to_owned();
        let headers = headers(parsed.headers);
        self.buffer.drain(..length);
        if headers.has("expect", "100-continue") {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = self.body(&headers).await?;
        Ok(Some(Request {
            method,
            path,
            headers,
            body,
        }))
    }

    /// The next response.
    ///
    /// # Errors
    /// It broke, or is no HTTP.
    pub async fn response(&mut self) -> Result<Response> {
        let length = self.head().await?;
        let length = length.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut slots);
        parsed
            .parse(&self.buffer)
            .map_err(|_| bad("response head"))?;
        let status = parsed.code.unwrap_or_default();
        let headers = headers(parsed.headers);
        self.buffer.drain(..length);
        let body = self.body(&headers).await?;
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    /// Sends a whole message.
    ///
    /// # Errors
    /// It broke.
    pub async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.stream.write_all(message).await?;
        self.stream.flush().await
    }

    /// Reads until a head is complete: its length.
    async fn head(&mut self) -> Result<Option<usize>> {
        loop {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                return Ok(Some(end + 4));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(bad("head too long"));
            }
            if !self.more().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    async fn body(&mut self, headers: &Headers) -> Result<Vec<u8>> {
        if headers.has("transfer-encoding", "chunked") {
            return self.chunks().await;
        }
        self.take(headers.length()?).await
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| bad("chunk length"))?;
            if length == 0 {
                // Trailers, up to the empty line.
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            if body.len() + length > BODY_BYTES_MAX {
                return Err(bad("body too long"));
            }
            body.extend(self.take(length).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(end).await?;
                self.buffer.drain(..2);
                return String::from_utf8(line).map_err(|_| bad("line"));
            }
            if self.buffer.len() > HEAD_BYTES_MAX || !self.more().await? {
                return Err(bad("line"));
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self) -> Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn headers(parsed: &[httparse::Header<'_>]) -> Headers {
    let text = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    Headers(parsed.iter().map(text).collect())
}

/// A response, ready to be sent.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let reason = if status < 400 { "OK" } else { "Refused" };
    message(&format!("HTTP/1.1 {status} {reason}"), headers, body)
}

/// A request, ready to be sent.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let first = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1");
    message(&first, headers, body)
}

fn message(first: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{first}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    }
    head.push_str("\r\n");
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<Option<Request>> {
        let (mut client, server) = tokio::io::duplex(64);
        let text = text.as_bytes().to_vec();
        let writing = async move {
            let _broken = client.write_all(&text).await;
        };
        let mut wire = Wire::new(server);
        let (read, ()) = tokio::join!(wire.request(), writing);
        read
    }

    #[tokio::test(flavor = "current_thread")]
    async fn bodies_are_read_in_both_forms() {
        let plain = read("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET").await;
        assert_eq!(plain.unwrap().unwrap().body, b"abc");
        let chunked = "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n";
        let chunked = read(chunked).await.unwrap().unwrap();
        assert_eq!(chunked.body, b"abcde");
        assert_eq!(chunked.path, "/a");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_request_is_an_error() {
        assert!(read("").await.unwrap().is_none());
        for text in [
            "GET",
            "POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        ] {
            assert!(read(text).await.is_err(), "{text}");
        }
    }
}
