//! Just enough of HTTP/1.1 to read whole messages and pass them on byte by byte.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// No test sends more.
const MESSAGE_BYTES_MAX: usize = 1 << 22;

/// A request or a response.
#[derive(Debug)]
pub struct Message {
    /// As it was read, to be passed on.
    pub raw: Vec<u8>,
    /// First line and headers.
    pub head: String,
    /// The content, chunks put together.
    pub body: Vec<u8>,
}

impl Message {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Method and path of a request.
    #[must_use]
    pub fn method_and_path(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    }
}

/// Reads one message after the other from a stream.
#[derive(Debug)]
pub struct MessageReader<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// A reader at the beginning of a connection.
    #[must_use]
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The next message; none once the other side has closed the connection.
    ///
    /// # Errors
    /// What is read is no message, or ends within one.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        let head_bytes = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_bytes]).into_owned();
        let mut message = Message {
            raw: Vec::new(),
            head,
            body: Vec::new(),
        };
        let end = if message.header("transfer-encoding") == Some("chunked") {
            self.chunks(head_bytes, &mut message.body).await?
        } else {
            let length = message.header("content-length").unwrap_or("0");
            let end = head_bytes + length.parse::<usize>().map_err(|_| broken())?;
            self.fill(end).await?;
            message
                .body
                .extend_from_slice(&self.buffer[head_bytes..end]);
            end
        };
        message.raw = self.buffer.drain(..end).collect();
        Ok(Some(message))
    }

    /// Reads chunks that begin at `at`, and answers where they end.
    async fn chunks(&mut self, mut at: usize, body: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let line = loop {
                if let Some(length) = find(&self.buffer[at..], b"\r\n") {
                    break length;
                }
                if !self.more().await? {
                    return Err(broken());
                }
            };
            let size = std::str::from_utf8(&self.buffer[at..at + line]).map_err(|_| broken())?;
            let size = size.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| broken())?;
            let begin = at + line + 2;
            self.fill(begin + size + 2).await?;
            body.extend_from_slice(&self.buffer[begin..begin + size]);
            at = begin + size + 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    async fn fill(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() < bytes {
            if !self.more().await? {
                return Err(broken());
            }
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<bool> {
        if self.buffer.len() > MESSAGE_BYTES_MAX {
            return Err(broken());
        }
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no whole HTTP message")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
