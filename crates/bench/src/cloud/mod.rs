//! DynamoDB, S3, Secrets Manager, and what the switch needs of Lambda and CloudWatch, over HTTPS, each on a port of its own. What is claimed is kept, so that conditions
//! hold as they do on AWS; signatures are not looked at.

mod cbor;
pub mod control_plane;
mod expression;
mod objects;
mod secrets;
mod sessions;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use cutover_testkit::Certificate;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::http::{self, Request, Wire};
use crate::journal::{Journal, Place};
use crate::precise::pause;
use crate::tls;

pub use control_plane::Alias;
pub use objects::Objects;
pub use secrets::Secrets;
pub use sessions::Sessions;

/// The services' ports.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// DynamoDB.
    pub sessions: u16,
    /// S3.
    pub log: u16,
    /// Secrets Manager.
    pub secrets: u16,
    /// Lambda.
    pub functions: u16,
    /// CloudWatch.
    pub alarms: u16,
}

/// An answer of a service.
struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

/// The services. They end when this is dropped.
pub struct Cloud {
    shared: Rc<Shared>,
    ports: Ports,
    accepting: Vec<JoinHandle<()>>,
}

struct Shared {
    delay: Cell<Duration>,
    journal: Rc<Journal>,
    acceptor: TlsAcceptor,
    sessions: Sessions,
    objects: Objects,
    secrets: Secrets,
    alias: Alias,
    /// Connections that stand.
    open: RefCell<Vec<AbortHandle>>,
}

impl Cloud {
    /// Starts the services; each call is answered `delay` after it came.
    pub async fn start(certificate: &Certificate, delay: Duration, journal: Rc<Journal>) -> Self {
        let shared = Rc::new(Shared {
            delay: Cell::new(delay),
            journal,
            acceptor: tls::acceptor(&certificate.server(), &certificate.server_key()),
            sessions: Sessions::default(),
            objects: Objects::default(),
            secrets: Secrets::default(),
            alias: Alias::default(),
            open: RefCell::default(),
        });
        let mut accepting = Vec::new();
        let mut listen = async |place| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("its number").port();
            accepting.push(spawn_local(accept(listener, place, Rc::clone(&shared))));
            port
        };
        let ports = Ports {
            sessions: listen(Place::Sessions).await,
            log: listen(Place::Log).await,
            secrets: listen(Place::Secrets).await,
            functions: listen(Place::Functions).await,
            alarms: listen(Place::Alarms).await,
        };
        Self {
            shared,
            ports,
            accepting,
        }
    }

    /// Where they listen.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Changes the delay of each call from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.delay.set(delay);
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }

    /// The alias that the switch turns.
    #[must_use]
    pub fn alias(&self) -> &Alias {
        &self.shared.alias
    }

    /// The session table.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// The log bucket.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    /// Closes every connection, as servers do that were not spoken to for long.
    pub fn close_connections(&self) {
        for connection in self.shared.open.take() {
            connection.abort();
        }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.close_connections();
        for task in &self.accepting {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, place: Place, shared: Rc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.journal.connected(place);
        let serving = spawn_local(serve(stream, place, Rc::clone(&shared)));
        let mut open = shared.open.borrow_mut();
        open.retain(|connection| !connection.is_finished());
        open.push(serving.abort_handle());
    }
}

/// One connection, until its client closes it. A client that breaks the protocol is hung up on.
async fn serve(stream: TcpStream, place: Place, shared: Rc<Shared>) {
    let _slower_if_refused = stream.set_nodelay(true);
    let Ok(stream) = shared.acceptor.accept(stream).await else {
        return;
    };
    let mut wire = Wire::new(stream);
    while let Ok(Some(request)) = wire.request().await {
        let begun = Instant::now();
        let answer = shared.answer(place, &request);
        let message = http::response(
            answer.status,
            &[
                ("content-type", answer.content_type),
                // What CloudWatch's protocol is told by; the others' clients don't look.
                ("smithy-protocol", "rpc-v2-cbor"),
                ("x-amzn-requestid", "00000000-0000-4000-8000-000000000000"),
                ("x-amz-request-id", "0000000000000000"),
            ],
            &answer.body,
        );
        // The delay holds what the service itself took.
        pause(shared.delay.get().saturating_sub(begun.elapsed())).await;
        if wire.send(&message).await.is_err() {
            return;
        }
        shared.journal.called(place, begun);
    }
}

impl Shared {
    fn answer(&self, place: Place, request: &Request) -> Answer {
        match place {
            Place::Log => self.objects.answer(request),
            Place::Secrets => self.secrets.answer(request),
            Place::Functions => self.alias.answer(request),
            Place::Alarms => control_plane::alarms(request),
            Place::Sessions | Place::Ledger => self.sessions.answer(request),
        }
    }
}

impl Answer {
    fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            content_type: "application/x-amz-json-1.0",
            body: body.to_string().into_bytes(),
        }
    }

    /// An error as the JSON protocols have it.
    fn error(kind: &str, message: &str) -> Self {
        Self::json(
            400,
            &serde_json::json!({"__type": kind, "message": message}),
        )
    }
}

/// The operation that a request of a JSON protocol names.
fn operation(request: &Request) -> &str {
    let target = request.headers.get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}
