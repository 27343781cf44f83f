//! One process of a subject, from its start to its end, as Lambda would run it: one event at a time.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::journal::Seen;
use crate::process::{self, Memory};
use crate::runtime_api::{RuntimeApi, TIMEOUT};
use crate::subject::Subject;
use crate::world::World;

/// Lambda gives an init 10 s.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The process could not be started.
    #[error("{command} could not be started")]
    Spawn {
        /// What was to be run.
        command: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It did not ask for an event.
    #[error("{name} did not become ready: {why} (its output is in {log})")]
    Init {
        /// The subject.
        name: String,
        /// What it said.
        why: String,
        /// Where its output is.
        log: String,
    },
    /// It did not answer an event.
    #[error("{name} did not answer within 10 s (its output is in {log})")]
    Silent {
        /// The subject.
        name: String,
        /// Where its output is.
        log: String,
    },
}

/// A process that runs.
pub struct Sandbox<'a> {
    world: &'a World,
    api: RuntimeApi,
    child: Child,
    pid: Pid,
    name: String,
    log: String,
    /// From the start of the process to its first poll.
    pub init: Duration,
    /// What it called before it polled.
    pub at_init: Seen,
}

/// What came of one event.
#[derive(Debug)]
pub struct Answer {
    /// From the event being handed over to the whole answer.
    pub took: Duration,
    /// What was answered, or the error's document.
    pub body: Vec<u8>,
    /// Whether the function failed.
    pub failed: bool,
    /// What it called.
    pub seen: Seen,
}

impl<'a> Sandbox<'a> {
    /// Starts a process and waits until it asks for an event.
    ///
    /// # Errors
    /// It can't be started, ends, or does not ask in 10 s.
    ///
    /// # Panics
    /// If the run's folder takes no file.
    pub async fn start(world: &'a World, subject: &Subject) -> Result<Self, SandboxError> {
        let api = RuntimeApi::start().await;
        let log = world.folder().join(format!("{}.log", subject.name));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let mut command = Command::new(&subject.command);
        command
            .args(&subject.arguments)
            .env_clear()
            .envs(subject.environment(world))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log file"))
            .stderr(output)
            .kill_on_drop(true);
        if let Some(folder) = &subject.folder {
            command.current_dir(folder);
        }
        let _of_before = world.journal().take();
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|source| SandboxError::Spawn {
            command: subject.command.display().to_string(),
            source,
        })?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let polled = tokio::select! {
            polled = timeout(INIT_TIMEOUT, api.polled()) => polled.map_err(|_| "no poll in 10 s".to_owned()),
            ended = child.wait() => Err(ended.map_or_else(|e| e.to_string(), |status| status.to_string())),
        };
        let init = begun.elapsed();
        let log = log.display().to_string();
        let failed = |why| SandboxError::Init {
            name: subject.name.clone(),
            why,
            log: log.clone(),
        };
        polled.map_err(|why| failed(api.init_error().unwrap_or(why)))?;
        let pid = pid.ok_or_else(|| failed("it ended".to_owned()))?;
        Ok(Self {
            world,
            api,
            child,
            pid: Pid::from_raw(pid),
            name: subject.name.clone(),
            log,
            init,
            at_init: world.journal().take(),
        })
    }

    /// Has it answer one event.
    ///
    /// # Errors
    /// It does not in the time that an invocation has, or has ended.
    pub async fn invoke(&self, event: &str) -> Result<Answer, SandboxError> {
        let silent = || SandboxError::Silent {
            name: self.name.clone(),
            log: self.log.clone(),
        };
        let _of_before = self.world.journal().take();
        let (begun, posted) = timeout(TIMEOUT, self.api.invoke(event))
            .await
            .ok()
            .flatten()
            .ok_or_else(silent)?;
        Ok(Answer {
            took: posted.at.duration_since(begun),
            body: posted.body,
            failed: posted.failed,
            seen: self.world.journal().take(),
        })
    }

    /// Waits until it asks for the next event: what it does after an answer is its own time too.
    pub async fn settled(&self) {
        let _or_not = timeout(TIMEOUT, self.api.polled()).await;
    }

    /// What was called since the last event's answer.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.world.journal().take()
    }

    /// CPU time so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        process::cpu(self.pid).unwrap_or_default()
    }

    /// Memory now and at most.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        process::memory(self.pid)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Stops it in the middle of whatever it does, as Lambda does between two events.
    pub fn freeze(&self) {
        let _gone = kill(self.pid, Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        let _gone = kill(self.pid, Signal::SIGCONT);
    }

    /// Asks it to end (`SIGTERM`, which tools that write at exit need), and waits; kills it after a while.
    pub async fn end(mut self) {
        let _gone = kill(self.pid, Signal::SIGTERM);
        if timeout(INIT_TIMEOUT, self.child.wait()).await.is_err() {
            self.stop().await;
        }
    }

    /// Kills it.
    pub async fn stop(mut self) {
        let _gone = self.child.kill().await;
    }
}
