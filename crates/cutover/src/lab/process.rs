//! Child processes that the lab starts, and ends again whatever happens.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::LabError;

/// A child process with its output in a file. Dropping it kills it; [`Process::stop`] asks first.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `program` with an environment of its own: nothing but `PATH`, `HOME` and what `env` gives.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, LabError> {
        let start = |operation| LabError::process(name, operation);
        let output = File::create(log).map_err(start("create its log"))?;
        let errors = output.try_clone().map_err(start("create its log"))?;
        let inherited = ["PATH", "HOME"]
            .into_iter()
            .filter_map(|name| Some((name, super::environment(name)?)));
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(inherited)
            .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: Ctrl-C in the terminal reaches the lab, which then stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start("start it"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
        })
    }

    /// An error if the process has ended; its log says why.
    pub fn check_alive(&mut self) -> Result<(), LabError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(LabError::Ended {
                name: self.name.clone(),
                status: status.to_string(),
                log: self.log.clone(),
            }),
            Err(source) => Err(LabError::process(&self.name, "look after it")(source)),
        }
    }

    /// Asks the process to end (SIGTERM), and kills it after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        if let Err(error) = self.signal(Signal::SIGTERM) {
            eprintln!("{}: could not be asked to end: {error}", self.name);
        }
        if timeout(patience, self.child.wait()).await.is_err()
            && let Err(error) = self.child.kill().await
        {
            eprintln!("{}: could not be killed: {error}", self.name);
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.pid() {
            Some(pid) => Ok(kill(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Reaches what the process itself started, too. Nothing once the process has been waited for.
    fn signal_group(&self, signal: Signal) -> io::Result<()> {
        match self.pid() {
            Some(pid) => Ok(killpg(pid, signal)?),
            None => Ok(()),
        }
    }

    /// The process's id, until it has been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    fn pid(&self) -> Option<Pid> {
        Some(Pid::from_raw(i32::try_from(self.child.id()?).ok()?))
    }
}

/// A port of the loopback interface that nobody listens on at present.
pub async fn free_port() -> Result<u16, LabError> {
    let find = LabError::process("lab", "find a free port");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(&find)?;
    Ok(listener.local_addr().map_err(&find)?.port())
}

/// What a lab that is dropped half-way leaves must not run on: the whole group is killed, children included.
impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.signal_group(Signal::SIGKILL) {
            eprintln!("{}: its group could not be killed: {error}", self.name);
        }
    }
}
