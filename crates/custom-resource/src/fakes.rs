//! The other end of a ResponseURL, on loopback: takes answers and keeps them.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that can't listen can only fail"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// One PUT that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Method and path.
    pub request_line: String,
    /// Headers, in lower case, one a line.
    pub headers: Vec<String>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Put {
    /// The body, read as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that answers with given statuses, the last of them for ever.
#[derive(Debug)]
pub struct AnswerServer {
    port: u16,
    puts: Arc<Mutex<Vec<Put>>>,
}

impl AnswerServer {
    /// Listens on a free port of this host.
    pub fn start(statuses: &[u16]) -> Self {
        Self::start_saying(statuses, "")
    }

    /// As [`AnswerServer::start`], each answer with this body.
    pub fn start_saying(statuses: &[u16], said: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let puts = Arc::new(Mutex::new(Vec::new()));
        let (kept, statuses) = (Arc::clone(&puts), statuses.to_vec());
        let said = said.to_owned();
        thread::spawn(move || {
            let mut statuses = statuses.into_iter();
            let mut status = 200;
            for stream in listener.incoming() {
                status = statuses.next().unwrap_or(status);
                let stream = stream.unwrap();
                // Noted before it is answered: whoever has the answer finds what was put.
                kept.lock().unwrap().push(read(&stream));
                answer(&stream, status, &said);
            }
        });
        Self { port, puts }
    }

    /// A URL that leads here, with a signature that must not be shown.
    pub fn url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/answer?X-Amz-Signature=secret",
            self.port
        )
    }

    /// What arrived so far.
    pub fn puts(&self) -> Vec<Put> {
        self.puts.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Put {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let request_line = lines.remove(0);
    let headers: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let length = headers
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Put {
        request_line,
        headers,
        body,
    }
}

fn answer(mut stream: &TcpStream, status: u16, said: &str) {
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
        said.len()
    )
    .unwrap();
}
