//! A real MariaDB with TLS, behind a proxy that delays each round trip once: the first bytes that a client sends after the
//! server has spoken wait, all others pass at once.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cutover_testkit::{Certificate, MariaDb};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, spawn_local};

use crate::journal::{Journal, Place};
use crate::precise::pause;

/// The database's name.
pub const DATABASE: &str = "payments";
/// Who writes payments.
pub const USER: &str = "payments_app";
/// Its password.
pub const PASSWORD: &str = "bench-only";
const CHUNK_BYTES: usize = 65_536;
/// The ledger's schema, as it is deployed.
const SCHEMA: [&str; 2] = [
    include_str!("../../../infra/schema/mysql/001-payments.sql"),
    include_str!("../../../infra/schema/mysql/002-cutover-epoch.sql"),
];

/// The server and its proxy. Both end when this is dropped.
pub struct Database {
    server: MariaDb,
    port: u16,
    link: Rc<Link>,
    accepting: JoinHandle<()>,
}

struct Link {
    target: u16,
    delay: Cell<Duration>,
    journal: Rc<Journal>,
    open: RefCell<Vec<AbortHandle>>,
}

impl Database {
    /// Starts a server with the ledger's tables in it.
    pub async fn start(certificate: &Certificate, delay: Duration, journal: Rc<Journal>) -> Self {
        let file = |path: &Path| path.display().to_string();
        let server = MariaDb::start_with(&[
            format!("--ssl-cert={}", file(&certificate.server())),
            format!("--ssl-key={}", file(&certificate.server_key())),
            "--innodb-buffer-pool-size=64M".to_owned(),
        ]);
        server.sql("mysql", &format!("CREATE DATABASE {DATABASE}"));
        for tables in SCHEMA {
            server.sql(DATABASE, tables);
        }
        server.sql(
            DATABASE,
            &format!(
                "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
                 GRANT SELECT, INSERT ON payments TO {USER}@'%'; \
                 GRANT SELECT ON cutover_epoch TO {USER}@'%'"
            ),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let link = Rc::new(Link {
            target: server.port(),
            delay: Cell::new(delay),
            journal,
            open: RefCell::default(),
        });
        let accepting = spawn_local(accept(listener, Rc::clone(&link)));
        Self {
            server,
            port,
            link,
            accepting,
        }
    }

    /// The proxy's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the delay of each round trip from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.link.delay.set(delay);
    }

    /// How many payments the ledger has.
    #[must_use]
    pub fn payments(&self) -> usize {
        let counted = self.server.sql(DATABASE, "SELECT COUNT(*) FROM payments");
        counted.trim().parse().expect("a number")
    }

    /// Runs SQL as the server's administrator, past the proxy.
    pub fn sql(&self, statements: &str) {
        self.server.sql(DATABASE, statements);
    }

    /// Empties the ledger.
    pub fn clear(&self) {
        self.server.sql(DATABASE, "TRUNCATE payments");
    }

    /// Closes every connection, as servers do that were not spoken to for long.
    pub fn close_connections(&self) {
        for connection in self.link.open.take() {
            connection.abort();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close_connections();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, link: Rc<Link>) {
    while let Ok((client, _)) = listener.accept().await {
        link.journal.connected(Place::Ledger);
        let carrying = spawn_local(carry(client, Rc::clone(&link)));
        let mut open = link.open.borrow_mut();
        open.retain(|connection| !connection.is_finished());
        open.push(carrying.abort_handle());
    }
}

/// Carries one connection until either side closes it.
async fn carry(mut client: TcpStream, link: Rc<Link>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", link.target)).await else {
        return;
    };
    let _slower_if_refused = (client.set_nodelay(true), server.set_nodelay(true));
    let mut from_client = vec![0; CHUNK_BYTES];
    let mut from_server = vec![0; CHUNK_BYTES];
    // When the round trip began that the server has not answered yet.
    let mut asked: Option<Instant> = None;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Some(bytes) = read.ok().and_then(|count| from_client.get(..count)).filter(|b| !b.is_empty()) else {
                    return;
                };
                if asked.is_none() {
                    asked = Some(Instant::now());
                    pause(link.delay.get()).await;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Some(bytes) = read.ok().and_then(|count| from_server.get(..count)).filter(|b| !b.is_empty()) else {
                    return;
                };
                if client.write_all(bytes).await.is_err() {
                    return;
                }
                if let Some(begun) = asked.take() {
                    link.journal.called(Place::Ledger, begun);
                }
            }
        }
    }
}
