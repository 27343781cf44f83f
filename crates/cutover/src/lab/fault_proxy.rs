//! The lab's fault switch: a TCP proxy in front of a ledger.
//!
//! The function under test knows nothing of it. While the fault is on, the proxy cuts every connection and takes no new
//! one, as a database does that has died: in the middle of a statement or before it.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::LabError;

/// A proxy from a port of its own to `target`. It ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    fault: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free loopback port.
    pub async fn start(target: SocketAddr) -> Result<Self, LabError> {
        let start = LabError::process("fault proxy", "listen");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(&start)?;
        let port = listener.local_addr().map_err(&start)?.port();
        let (fault, seen) = watch::channel(false);
        let task = tokio::spawn(accept(listener, target, seen));
        Ok(Self { port, fault, task })
    }

    /// Where to connect to instead of the database.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Turns the fault on or off.
    pub fn set_fault(&self, on: bool) {
        self.fault.send_replace(on);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, fault: watch::Receiver<bool>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) if !*fault.borrow() => {
                tokio::spawn(relay(client, target, fault.clone()));
            }
            Ok((refused, _)) => drop(refused),
            // Out of file descriptors, or a connection that was reset before it was taken: not the proxy's end.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, mut fault: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let no_delay = client.set_nodelay(true).and(server.set_nodelay(true));
    if no_delay.is_err() {
        return;
    }
    tokio::select! {
        _ended = copy_bidirectional(&mut client, &mut server) => {}
        _fault = fault.wait_for(|on| *on) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn echo_server() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                });
            }
        });
        address
    }

    async fn echoes(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 4];
        stream.write_all(b"ping").await.is_ok() && stream.read_exact(&mut answer).await.is_ok()
    }

    #[tokio::test]
    async fn the_fault_cuts_what_stands_and_refuses_what_comes() {
        let proxy = FaultProxy::start(echo_server().await).await.unwrap();
        let connect = || TcpStream::connect(proxy.address());
        let mut standing = connect().await.unwrap();
        assert!(echoes(&mut standing).await);

        proxy.set_fault(true);
        assert!(!echoes(&mut standing).await);
        let mut refused = connect().await.unwrap();
        assert!(!echoes(&mut refused).await);

        proxy.set_fault(false);
        let mut healed = connect().await.unwrap();
        assert!(echoes(&mut healed).await);
    }
}
