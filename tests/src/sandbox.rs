//! A function's process under a Lambda Runtime API of the test's own: it can be killed, paused, and left to be late.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::MessageReader;

/// Events that wait for a sandbox.
const QUEUE_MAX: usize = 16;

/// A process that was asked to end is killed after that.
const END_MAX: Duration = Duration::from_secs(30);

/// What a function said of an event: its answer, or the error that it failed with.
pub type Said = Result<Value, Value>;

struct Event {
    payload: String,
    time: Duration,
    answer: oneshot::Sender<Said>,
}

struct Api {
    events: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    pending: Mutex<HashMap<String, oneshot::Sender<Said>>>,
    served: AtomicU32,
}

/// An execution environment: one process, one event at a time. Dropping it kills the process.
pub struct Sandbox {
    process: Child,
    group: Pid,
    events: mpsc::Sender<Event>,
    dead: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// An invocation that was begun.
pub struct Pending {
    answer: oneshot::Receiver<Said>,
    dead: watch::Receiver<bool>,
}

impl Pending {
    /// What the function says; none if it says nothing in time, or its process died.
    pub async fn wait(&mut self, patience: Duration) -> Option<Said> {
        let (answer, dead) = (&mut self.answer, &mut self.dead);
        let said = async {
            tokio::select! {
                said = answer => said.ok(),
                _ = dead.wait_for(|dead| *dead) => None,
            }
        };
        tokio::time::timeout(patience, said).await.ok().flatten()
    }
}

impl Sandbox {
    /// Starts `binary` with these variables and no others; what it prints goes to `log`.
    pub async fn start(binary: &Path, variables: &[(&str, String)], log: &Path) -> Self {
        Self::start_under(&[], binary, variables, log).await
    }

    /// As [`Sandbox::start`], by a command that takes the binary as its last argument.
    pub async fn start_under(
        command: &[OsString],
        binary: &Path,
        variables: &[(&str, String)],
        log: &Path,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let (events, queue) = mpsc::channel(QUEUE_MAX);
        let api = Arc::new(Api {
            events: tokio::sync::Mutex::new(queue),
            pending: Mutex::default(),
            served: AtomicU32::new(0),
        });
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(serve(connection, Arc::clone(&api)));
            }
        });
        let output = std::fs::File::create(log).expect("a log file");
        let errors = output.try_clone().expect("a log file");
        let command = command.iter().map(OsString::as_os_str);
        let mut words = command.chain([binary.as_os_str()]);
        let process = Command::new(words.next().expect("at least the binary"))
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "payment-validation")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("a built binary: `make build` builds it");
        let id = process.id().expect("a running process");
        Self {
            group: Pid::from_raw(i32::try_from(id).expect("a process id")),
            process,
            events,
            dead: watch::Sender::new(false),
            serving,
        }
    }

    /// Hands an event over; the function has `time` for it from the moment it takes it.
    pub async fn begin(&self, event: &Value, time: Duration) -> Pending {
        let (answer, receiver) = oneshot::channel();
        let event = Event {
            payload: event.to_string(),
            time,
            answer,
        };
        assert!(
            self.events.send(event).await.is_ok(),
            "the Runtime API is there"
        );
        Pending {
            answer: receiver,
            dead: self.dead.subscribe(),
        }
    }

    /// Kills the process: nothing in it runs any more.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.dead.send_replace(true);
    }

    /// Asks the process to end, and waits until it has.
    pub async fn end(mut self) {
        self.signal(Signal::SIGTERM);
        let _status = tokio::time::timeout(END_MAX, self.process.wait()).await;
        self.dead.send_replace(true);
    }

    /// Stops the process where it is, as a freeze does.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        // Once the process was waited for, its id may be another's.
        if self.process.id().is_some() {
            let _gone = killpg(self.group, signal);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.serving.abort();
    }
}

async fn serve(connection: TcpStream, api: Arc<Api>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (requests, mut responses) = connection.into_split();
    let mut requests = MessageReader::new(requests);
    while let Some(request) = requests.next().await? {
        let (_, path) = request.method_and_path();
        let response = if path.ends_with("/invocation/next") {
            let Some(event) = api.events.lock().await.recv().await else {
                return Ok(());
            };
            deliver(&api, event)
        } else {
            let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let mut parts = path.rsplit('/');
            let (what, id) = (parts.next(), parts.next().unwrap_or_default());
            let waiting = api.pending.lock().expect("no panic").remove(id);
            if let Some(waiting) = waiting {
                let answered = what == Some("response");
                let _nobody_waits = waiting.send(if answered { Ok(said) } else { Err(said) });
            }
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        responses.write_all(response.as_bytes()).await?;
    }
    Ok(())
}

/// The answer to a poll: an event, its id and its deadline.
fn deliver(api: &Api, event: Event) -> String {
    let count = api.served.fetch_add(1, Ordering::Relaxed);
    let id = format!("00000000-0000-4000-8000-{count:012}");
    let deadline = SystemTime::now() + event.time;
    let deadline = deadline.duration_since(UNIX_EPOCH).expect("after 1970");
    let (payload, answer) = (event.payload, event.answer);
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: {id}\r\n\
         lambda-runtime-deadline-ms: {}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:payment-validation\r\n\
         content-length: {}\r\n\r\n{payload}",
        deadline.as_millis(),
        payload.len(),
    );
    api.pending.lock().expect("no panic").insert(id, answer);
    response
}
