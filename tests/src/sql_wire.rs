//! A proxy in front of a database. It knows no protocol: the INSERT of a payment is the one command that carries the
//! environment's name, because no other statement binds it; and databases answer a command before they take the next.
//!
//! What is read first after a command counts as its whole answer. To an INSERT it is: MySQL answers with one packet, and
//! PostgreSQL with a few short messages (BindComplete, DataRow, CommandComplete, ReadyForQuery) that it sends at once.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::database::Engine;
use crate::wire::{self, Call, Point, Verdict, Wire};
use crate::world::ENVIRONMENT;

/// More than any command or answer here.
const CHUNK_BYTES: usize = 1 << 16;

/// A running proxy. It ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct SqlWire {
    endpoint: String,
    accepting: JoinHandle<()>,
}

impl SqlWire {
    /// Starts a proxy to a database at `port` of this machine, whose calls meet what `wire` plans.
    pub async fn start(engine: Engine, port: u16, wire: Arc<Wire>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = listener.local_addr().expect("its address").to_string();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                wire.connected();
                connections.spawn(until_cut(engine, client, port, Arc::clone(&wire)));
            }
        });
        Self {
            endpoint,
            accepting,
        }
    }

    /// What functions are given as `DB_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for SqlWire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn until_cut(engine: Engine, mut client: TcpStream, port: u16, wire: Arc<Wire>) {
    let mut cuts = wire.cuts();
    tokio::select! {
        _closed = carry(engine, &mut client, port, &wire) => {}
        how = cuts.next() => {
            let _gone = wire::end(client, how).await;
        }
    }
}

async fn carry(engine: Engine, client: &mut TcpStream, port: u16, wire: &Wire) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut command, mut answer) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut running: Option<(Call, Instant)> = None;
    loop {
        tokio::select! {
            read = client.read(&mut command) => {
                let bytes = &command[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                wire.tap(bytes);
                let call = recognise(bytes);
                let began = Instant::now();
                match wire.meet(call, Point::Before).await {
                    Verdict::Pass => {
                        running = Some((call, began));
                        server.write_all(bytes).await?;
                    }
                    Verdict::Error => {
                        wire.note(call, began, false);
                        client.write_all(&engine.refusal()).await?;
                    }
                    Verdict::Close => return Ok(()),
                }
            }
            read = server.read(&mut answer) => {
                let bytes = &answer[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let Some((call, began)) = running.take() else {
                    client.write_all(bytes).await?;
                    continue;
                };
                wire.note(call, began, !engine.is_error(bytes));
                match wire.meet(call, Point::After).await {
                    Verdict::Pass => client.write_all(bytes).await?,
                    Verdict::Error => client.write_all(&engine.doubt()).await?,
                    Verdict::Close => return Ok(()),
                }
            }
        }
    }
}

fn recognise(bytes: &[u8]) -> Call {
    let marker = ENVIRONMENT.as_bytes();
    if bytes.windows(marker.len()).any(|part| part == marker) {
        Call::Insert
    } else {
        Call::OtherSql
    }
}
