//! Routers in memory: one that knows revisions and generations, and others that know less.

use async_trait::async_trait;
use cutover_domain::switch::{
    Capacity, CapacityReading, Environment, Order, RouterReading, Seen, Versions, Weights,
};

use super::World;
use crate::switch::{Router, RouterError};

/// The name of the first router: the one that the world itself is.
pub const ROUTER: &str = "fake:live";

/// The entry of the first router, which behaves as a Lambda alias does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its weights.
    pub weights: Weights,
    /// Its default.
    pub base: Environment,
    /// Generation of its last write.
    pub marker: Option<u64>,
    /// Changes with each write.
    pub revision: u64,
}

#[async_trait]
impl Router for World {
    fn name(&self) -> &str {
        ROUTER
    }

    fn takes_versions(&self) -> bool {
        true
    }

    fn effect_seconds(&self) -> u64 {
        1
    }

    async fn read(&self, _versions: &Versions, _change: Option<&str>) -> RouterReading {
        self.call("router.read").await;
        let mut inner = self.inner();
        let is_pending = inner.route.is_some() && inner.pending_reads > 0;
        if is_pending {
            inner.pending_reads -= 1;
        }
        let route = inner.route.as_ref();
        RouterReading {
            router: ROUTER.to_owned(),
            seen: match route {
                _ if inner.router_down => Seen::Unreadable("down".to_owned()),
                Some(route) => Seen::Split(route.weights),
                None => Seen::Absent,
            },
            revision: route.map(|route| route.revision.to_string()),
            marker: route.and_then(|route| route.marker),
            base: route.map(|route| route.base),
            takes_versions: true,
            pending: is_pending.then(|| "the change is PENDING".to_owned()),
            needs_change: false,
        }
    }

    async fn write(
        &self,
        order: &Order,
        seen: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        self.call("router.write").await;
        let mut inner = self.inner();
        let revision = inner.route.as_ref().map_or(0, |route| route.revision);
        let expected = inner.route.as_ref().map(|route| route.revision.to_string());
        if inner.races > 0 {
            inner.races -= 1;
            if let Some(route) = &mut inner.route {
                route.revision += 1;
            }
        } else if expected == seen.revision {
            inner.route = Some(Route {
                weights: order.weights,
                base: order.base,
                marker: Some(order.generation),
                revision: revision + 1,
            });
            return Ok(None);
        }
        Err(RouterError::Changed {
            router: ROUTER.to_owned(),
        })
    }

    async fn remove(&self) -> Result<(), RouterError> {
        self.call("router.remove").await;
        self.inner().route = None;
        Ok(())
    }

    async fn capacity(&self, environment: Environment, _versions: &Versions) -> CapacityReading {
        self.call("router.capacity").await;
        let state = self.inner().capacity.get(&environment).copied();
        let state = state.unwrap_or(Capacity::Ready);
        CapacityReading {
            router: ROUTER.to_owned(),
            environment,
            state,
            detail: format!("{environment} is {state:?}"),
        }
    }

    async fn warm(
        &self,
        environment: Environment,
        _versions: &Versions,
    ) -> Result<(), RouterError> {
        self.call("router.warm").await;
        let mut inner = self.inner();
        if !inner.sleeps_on && inner.capacity.get(&environment) == Some(&Capacity::Idle) {
            inner.capacity.insert(environment, Capacity::Ready);
        }
        Ok(())
    }
}

/// What another router can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It compares what it reads with what was read, then writes: as a load balancer's rule. It bears no generation.
    Plain,
    /// As plain, and a write takes effect only once [`OtherRoute::settle`] was called: as Route 53's records.
    Delayed,
}

/// The entry of another router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRoute {
    /// Its weights; `None` if there is no entry.
    pub weights: Option<Weights>,
    /// The number of its last change.
    pub change: u64,
    /// The number of the last change that is in effect.
    pub settled: u64,
    /// Whether it can't be read.
    pub reads_fail: bool,
    /// Whether it can't be written.
    pub writes_fail: bool,
    /// Whether its writes never return.
    pub writes_hang: bool,
}

impl OtherRoute {
    /// Everything to one environment.
    #[must_use]
    pub const fn all(environment: Environment) -> Self {
        Self {
            weights: Some(Weights::all(environment)),
            change: 0,
            settled: 0,
            reads_fail: false,
            writes_fail: false,
            writes_hang: false,
        }
    }

    /// Every change so far is in effect.
    pub const fn settle(&mut self) {
        self.settled = self.change;
    }
}

/// Another router of the world.
#[derive(Debug, Clone)]
pub struct FakeRouter {
    world: World,
    name: String,
    kind: Kind,
}

impl FakeRouter {
    pub(super) fn new(world: World, name: &str, kind: Kind) -> Self {
        Self {
            world,
            name: name.to_owned(),
            kind,
        }
    }

    fn route(&self) -> Option<OtherRoute> {
        self.world.inner().others.get(&self.name).cloned()
    }

    fn reading(&self, change: Option<&str>) -> RouterReading {
        let route = self.route();
        let seen = match &route {
            Some(route) if route.reads_fail => Seen::Unreadable("down".to_owned()),
            Some(OtherRoute {
                weights: Some(weights),
                ..
            }) => Seen::Split(*weights),
            _ => Seen::Absent,
        };
        let settled = route.map_or(0, |route| route.settled);
        let pending = change
            .filter(|change| change.parse().is_ok_and(|change: u64| change > settled))
            .map(|change| format!("change {change} is PENDING"));
        RouterReading {
            router: self.name.clone(),
            seen,
            revision: None,
            marker: None,
            base: None,
            takes_versions: false,
            pending,
            needs_change: self.kind == Kind::Delayed,
        }
    }
}

#[async_trait]
impl Router for FakeRouter {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_versions(&self) -> bool {
        false
    }

    fn effect_seconds(&self) -> u64 {
        match self.kind {
            Kind::Plain => 5,
            Kind::Delayed => 120,
        }
    }

    async fn read(&self, _versions: &Versions, change: Option<&str>) -> RouterReading {
        self.world.call(&format!("{}.read", self.name)).await;
        self.reading(change)
    }

    async fn write(
        &self,
        order: &Order,
        seen: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        self.world.call(&format!("{}.write", self.name)).await;
        let route = self.route();
        if route.as_ref().is_some_and(|route| route.writes_hang) {
            std::future::pending::<()>().await;
        }
        if route.is_some_and(|route| route.writes_fail) {
            return Err(RouterError::Failed {
                router: self.name.clone(),
                operation: "write",
                source: "down".into(),
            });
        }
        if self.reading(None).seen != seen.seen {
            return Err(RouterError::Changed {
                router: self.name.clone(),
            });
        }
        let mut inner = self.world.inner();
        let route = inner
            .others
            .entry(self.name.clone())
            .or_insert_with(|| OtherRoute::all(order.base));
        route.weights = Some(order.weights);
        route.change += 1;
        let change = route.change.to_string();
        Ok((self.kind == Kind::Delayed).then_some(change))
    }

    async fn remove(&self) -> Result<(), RouterError> {
        self.world.call(&format!("{}.remove", self.name)).await;
        self.world.inner().others.remove(&self.name);
        Ok(())
    }
}
