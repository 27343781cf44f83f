//! Lambda's Runtime API: a sandbox polls for the next event and posts its answer.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, spawn_local};

use crate::http::{self, Request, Wire};

/// How long an invocation may take, as the function is told.
pub const TIMEOUT: Duration = Duration::from_secs(10);

const PREFIX: &str = "/2018-06-01/runtime/";

/// The Runtime API of one sandbox. It ends when dropped.
pub struct RuntimeApi {
    port: u16,
    shared: Rc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Polls that wait for an event, in their order.
    polls: RefCell<VecDeque<oneshot::Sender<Event>>>,
    polled: Notify,
    /// Events that wait for their answer, by request id.
    running: RefCell<HashMap<String, oneshot::Sender<Posted>>>,
    init_error: RefCell<Option<String>>,
    count: RefCell<u64>,
}

struct Event {
    id: String,
    payload: String,
}

/// What a sandbox posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The answer, or the error's document.
    pub body: Vec<u8>,
    /// Whether it is an error.
    pub failed: bool,
    /// When all of it had come.
    pub at: Instant,
}

impl RuntimeApi {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let shared = Rc::new(Shared::default());
        let serving = Rc::clone(&shared);
        let accepting = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(serve(stream, Rc::clone(&serving)));
            }
        });
        Self {
            port,
            shared,
            accepting,
        }
    }

    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until a sandbox polls. It may have polled before.
    pub async fn polled(&self) {
        while self.shared.polls.borrow().is_empty() {
            self.shared.polled.notified().await;
        }
    }

    /// What a sandbox said of its failed init, if it did.
    #[must_use]
    pub fn init_error(&self) -> Option<String> {
        self.shared.init_error.borrow().clone()
    }

    /// Hands an event to the sandbox that polls, and waits for its answer. Answers when the event was handed over, too.
    /// Nothing if it goes away instead.
    pub async fn invoke(&self, payload: &str) -> Option<(Instant, Posted)> {
        loop {
            self.polled().await;
            let poll = self.shared.polls.borrow_mut().pop_front()?;
            let id = self.shared.next_id();
            let (answer, answered) = oneshot::channel();
            self.shared.running.borrow_mut().insert(id.clone(), answer);
            let event = Event {
                id,
                payload: payload.to_owned(),
            };
            let begun = Instant::now();
            // A poll whose connection has ended takes nothing: the next one will.
            if poll.send(event).is_ok() {
                return answered.await.ok().map(|posted| (begun, posted));
            }
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn next_id(&self) -> String {
        let mut count = self.count.borrow_mut();
        *count += 1;
        format!("00000000-0000-4000-8000-{:012}", *count)
    }

    /// The answer to a request; nothing while it is to wait, and then what it waits for.
    async fn answer(&self, request: Request) -> Vec<u8> {
        let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["invocation", "next"]) => self.next().await,
            ("POST", ["invocation", id, how @ ("response" | "error")]) => {
                let posted = Posted {
                    at: Instant::now(),
                    failed: *how == "error",
                    body: request.body,
                };
                match self.running.borrow_mut().remove(*id) {
                    Some(waiting) => {
                        let _nobody_waits = waiting.send(posted);
                        accepted()
                    }
                    None => http::response(400, &[], b"{\"errorType\":\"InvalidRequestID\"}"),
                }
            }
            ("POST", ["init", "error"]) => {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                *self.init_error.borrow_mut() = Some(text);
                accepted()
            }
            _ => http::response(404, &[], b"{}"),
        }
    }

    async fn next(&self) -> Vec<u8> {
        let (poll, polled) = oneshot::channel();
        self.polls.borrow_mut().push_back(poll);
        self.polled.notify_one();
        let Ok(event) = polled.await else {
            return http::response(500, &[], b"{}");
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let deadline = (now + TIMEOUT).as_millis().to_string();
        http::response(
            200,
            &[
                ("content-type", "application/json"),
                ("lambda-runtime-aws-request-id", &event.id),
                ("lambda-runtime-deadline-ms", &deadline),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-central-1:123456789012:function:bench",
                ),
                (
                    "lambda-runtime-trace-id",
                    "Root=1-691f0000-000000000000000000000001;Parent=0000000000000001;Sampled=0",
                ),
            ],
            event.payload.as_bytes(),
        )
    }
}

fn accepted() -> Vec<u8> {
    let headers = [("content-type", "application/json")];
    http::response(202, &headers, b"{\"status\":\"OK\"}")
}

async fn serve(stream: TcpStream, shared: Rc<Shared>) {
    let _slower_if_refused = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    while let Ok(Some(request)) = wire.request().await {
        let message = shared.answer(request).await;
        if wire.send(&message).await.is_err() {
            return;
        }
    }
}
