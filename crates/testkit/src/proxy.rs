//! A TCP proxy in front of a server, which can lose answers or fall silent: what a client sees of a network that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. It ends when dropped.
pub struct Proxy {
    port: u16,
    faults: Arc<Faults>,
    connections: Arc<AtomicU32>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Faults {
    to_pass: AtomicU32,
    to_lose: AtomicU32,
    silent: AtomicBool,
}

impl Proxy {
    /// Starts a proxy to a port of this machine.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let faults = Arc::new(Faults::default());
        let connections = Arc::new(AtomicU32::new(0));
        let (fail, count) = (Arc::clone(&faults), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, target, Arc::clone(&fail)));
            }
        });
        Self {
            port,
            faults,
            connections,
            accepting,
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Loses the next `answers` of the server: each is read, thrown away, and its connection closed.
    pub fn lose(&self, answers: u32) {
        self.faults.to_lose.store(answers, Ordering::Relaxed);
    }

    /// Lets so many `answers` of the server pass, and loses the next: whoever asks dies at that point.
    pub fn lose_after(&self, answers: u32) {
        self.faults.to_pass.store(answers, Ordering::Relaxed);
        self.faults.to_lose.store(1, Ordering::Relaxed);
    }

    /// Whether every answer that was to be lost has been.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.faults.to_lose.load(Ordering::Relaxed) == 0
    }

    /// Falls silent, or speaks again: connections stand and take bytes, and nothing comes back. What was swallowed is gone.
    pub fn be_silent(&self, silent: bool) {
        self.faults.silent.store(silent, Ordering::Relaxed);
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut client: TcpStream, target: u16, faults: Arc<Faults>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let mut from_client = vec![0; 65_536];
    let mut from_server = vec![0; 65_536];
    loop {
        let sent = tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(count) if count > 0 && faults.silent.load(Ordering::Relaxed) => Ok(()),
                Ok(count) if count > 0 => server.write_all(from_client.get(..count).unwrap_or_default()).await,
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                Ok(count) if count > 0 && faults.silent.load(Ordering::Relaxed) => Ok(()),
                Ok(count) if count > 0 => {
                    let left = faults.to_lose.load(Ordering::Relaxed);
                    let pass = faults.to_pass.load(Ordering::Relaxed);
                    if pass > 0 {
                        faults.to_pass.store(pass - 1, Ordering::Relaxed);
                    } else if left > 0 {
                        faults.to_lose.store(left - 1, Ordering::Relaxed);
                        return;
                    }
                    client.write_all(from_server.get(..count).unwrap_or_default()).await
                }
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
