//! What goes over a function's wires: which call it is, when it began and ended, and what is to go wrong with it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// No test holds a call for longer.
const HOLD_MAX: Duration = Duration::from_mins(1);

/// A remote call, recognised at the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Secrets Manager: the key of the keyed hashes.
    HashSecret,
    /// Secrets Manager: the database's credentials.
    DatabaseSecret,
    /// DynamoDB: the put that claims a session.
    Claim,
    /// DynamoDB: the update that takes a session over.
    TakeOver,
    /// DynamoDB: the update that records the answer.
    Complete,
    /// DynamoDB: a session is given back.
    Release,
    /// The database: the INSERT.
    Insert,
    /// The database: anything else, the login included.
    OtherSql,
    /// S3: the log object is put.
    Object,
    /// Any other call.
    Other,
}

/// Where in a call something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The backend has not seen the call.
    Before,
    /// The backend has answered; nobody has seen that.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is held until it is released, and then dropped: its process is to be killed meanwhile.
    Kill,
    /// The call is held until it is released, and then goes on: its process is to be paused meanwhile.
    Pause,
    /// An error is answered in the backend's place.
    Error,
    /// The connection is closed without an answer.
    Lost,
}

/// One thing to go wrong.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// With which call.
    pub call: Call,
    /// When.
    pub point: Point,
    /// What.
    pub fault: Fault,
    /// With every such call and not only the next one.
    pub always: bool,
}

/// What a proxy does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on.
    Pass,
    /// Answers an error.
    Error,
    /// Closes the connection.
    Close,
}

/// How connections that stand come to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In order: FIN.
    Close,
    /// At once: RST.
    Reset,
    /// The other side says nothing more, but listens on.
    HalfClose,
    /// Not at all, as far as anyone is told: whatever is sent on it gets no answer.
    Silence,
}

/// A call that went over the wire.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Which.
    pub call: Call,
    /// When the function had sent it.
    pub began: Instant,
    /// When the backend had answered, or something else in its place.
    pub ended: Instant,
    /// Whether the backend did it, as far as its answer tells.
    pub done: bool,
}

/// The wires of one function process, or of several.
pub struct Wire {
    plan: Mutex<Option<Plan>>,
    fired: watch::Sender<bool>,
    released: watch::Sender<bool>,
    seen: Mutex<Vec<Seen>>,
    sent: Mutex<Vec<u8>>,
    delay_ms: AtomicU64,
    connections: AtomicU32,
    cuts: watch::Sender<(u32, Cut)>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            fired: watch::Sender::new(false),
            released: watch::Sender::new(false),
            seen: Mutex::default(),
            sent: Mutex::default(),
            delay_ms: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            cuts: watch::Sender::new((0, Cut::Close)),
        }
    }
}

impl Wire {
    /// Lets `plan` come true at the next chance.
    pub fn arm(&self, plan: Plan) {
        *held(&self.plan) = Some(plan);
        self.fired.send_replace(false);
        self.released.send_replace(false);
    }

    /// From now on nothing goes wrong, and held calls go on.
    pub fn release(&self) {
        *held(&self.plan) = None;
        self.released.send_replace(true);
    }

    /// Waits until the plan has come true, for the first time.
    pub async fn fired(&self) {
        let mut fired = self.fired.subscribe();
        let _never_dropped = fired.wait_for(|fired| *fired).await;
    }

    /// Whether the plan has come true.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        *self.fired.borrow()
    }

    /// Delays every call, so that what overlaps is seen to.
    pub fn delay(&self, each: Duration) {
        let ms = u64::try_from(each.as_millis()).unwrap_or(u64::MAX);
        self.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Every call since the last look, in the order of their ends.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut held(&self.seen))
    }

    /// Whether `call` was seen since the last [`Wire::take_seen`].
    #[must_use]
    pub fn saw(&self, call: Call) -> bool {
        held(&self.seen).iter().any(|seen| seen.call == call)
    }

    /// How many calls of that kind were done since the last [`Wire::take_seen`].
    #[must_use]
    pub fn done(&self, call: Call) -> usize {
        let of_call = |seen: &&Seen| seen.call == call && seen.done;
        held(&self.seen).iter().filter(of_call).count()
    }

    /// Every byte that functions sent.
    #[must_use]
    pub fn sent(&self) -> Vec<u8> {
        held(&self.sent).clone()
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes every connection that stands.
    pub fn hang_up(&self) {
        self.cut(Cut::Close);
    }

    /// Ends every connection that stands, one way or another. New ones are served.
    pub fn cut(&self, how: Cut) {
        self.cuts
            .send_modify(|(count, last)| (*count, *last) = (*count + 1, how));
    }

    /// What is told of connections that are made from now on: each can be awaited for its end.
    pub(crate) fn cuts(&self) -> Cuts {
        Cuts(self.cuts.subscribe())
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tap(&self, bytes: &[u8]) {
        held(&self.sent).extend_from_slice(bytes);
    }

    pub(crate) fn note(&self, call: Call, began: Instant, done: bool) {
        held(&self.seen).push(Seen {
            call,
            began,
            ended: Instant::now(),
            done,
        });
    }

    /// What becomes of a call at a point of its way. Held calls wait here.
    pub(crate) async fn meet(&self, call: Call, point: Point) -> Verdict {
        if point == Point::Before {
            tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))).await;
        }
        let Some(plan) = self.due(call, point) else {
            return Verdict::Pass;
        };
        self.fired.send_replace(true);
        match plan.fault {
            Fault::Error => Verdict::Error,
            Fault::Lost => Verdict::Close,
            Fault::Kill | Fault::Pause => {
                let mut released = self.released.subscribe();
                let waiting = released.wait_for(|released| *released);
                let _bounded = tokio::time::timeout(HOLD_MAX, waiting).await;
                if plan.fault == Fault::Kill {
                    Verdict::Close
                } else {
                    Verdict::Pass
                }
            }
        }
    }

    fn due(&self, call: Call, point: Point) -> Option<Plan> {
        let mut plan = held(&self.plan);
        let due = (*plan).filter(|plan| plan.call == call && plan.point == point)?;
        if !due.always {
            *plan = None;
        }
        Some(due)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// Tells a connection when its end has come.
pub(crate) struct Cuts(watch::Receiver<(u32, Cut)>);

impl Cuts {
    pub(crate) async fn next(&mut self) -> Cut {
        let _while_the_wire_is_there = self.0.changed().await;
        self.0.borrow().1
    }
}

/// Ends a connection from the function.
pub(crate) async fn end(mut client: TcpStream, how: Cut) -> io::Result<()> {
    match how {
        Cut::Close => return Ok(()),
        Cut::Reset => return client.set_zero_linger(),
        Cut::HalfClose => client.shutdown().await?,
        Cut::Silence => {}
    }
    let mut swallowed = [0; 1 << 12];
    while client.read(&mut swallowed).await? > 0 {}
    Ok(())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
