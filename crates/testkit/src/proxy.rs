//! A TCP proxy in front of a server, which can lose answers: what a client sees of a network that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. It ends when dropped.
pub struct Proxy {
    port: u16,
    to_lose: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to a port of this machine.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let to_lose = Arc::new(AtomicU32::new(0));
        let connections = Arc::new(AtomicU32::new(0));
        let (lose, count) = (Arc::clone(&to_lose), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, target, Arc::clone(&lose)));
            }
        });
        Self {
            port,
            to_lose,
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
        self.to_lose.store(answers, Ordering::Relaxed);
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

async fn carry(mut client: TcpStream, target: u16, to_lose: Arc<AtomicU32>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let mut from_client = vec![0; 65_536];
    let mut from_server = vec![0; 65_536];
    loop {
        let sent = tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(count) if count > 0 => server.write_all(from_client.get(..count).unwrap_or_default()).await,
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                Ok(count) if count > 0 => {
                    let left = to_lose.load(Ordering::Relaxed);
                    if left > 0 {
                        to_lose.store(left - 1, Ordering::Relaxed);
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
