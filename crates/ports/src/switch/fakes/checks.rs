//! What is asked beside routers and alarms: replication, counts, the fence, drills.

use async_trait::async_trait;
use cutover_domain::switch::{
    AlarmState, CountsReading, Environment, FenceSeen, LagReading, MayWrite,
};

use super::World;
use crate::switch::{AlarmTestError, AlarmTester, CountReader, Fence, ReplicationReader};

#[async_trait]
impl ReplicationReader for World {
    async fn read(&self) -> Vec<LagReading> {
        self.call("replication.read").await;
        self.inner().replication.clone()
    }
}

#[async_trait]
impl CountReader for World {
    async fn read(
        &self,
        _baseline: Environment,
        _candidate: Environment,
        _since_ms: u64,
        _until_ms: u64,
    ) -> CountsReading {
        self.call("counts.read").await;
        let counts = self.inner().counts.clone();
        counts.unwrap_or_else(|| CountsReading::Missing("no data".to_owned()))
    }
}

#[async_trait]
impl Fence for World {
    async fn set(&self, epoch: u64, may_write: MayWrite) -> FenceSeen {
        self.call("fence.set").await;
        let mut inner = self.inner();
        if inner.fence_down {
            return FenceSeen::Failed("down".to_owned());
        }
        let (epoch, may_write) = match inner.fence {
            Some((stored, may_write)) if stored > epoch => (stored, may_write),
            _ => (epoch, may_write),
        };
        inner.fence = Some((epoch, may_write));
        FenceSeen::Stands {
            epoch,
            blue: may_write.blue,
            green: may_write.green,
        }
    }
}

#[async_trait]
impl AlarmTester for World {
    async fn trip(&self, name: &str, _reason: &str) -> Result<(), AlarmTestError> {
        self.call("tester.trip").await;
        self.set_by_hand("SetAlarmState", name, AlarmState::Alarm)
    }

    async fn restore(&self, name: &str) -> Result<(), AlarmTestError> {
        self.call("tester.restore").await;
        self.set_by_hand("SetAlarmState", name, AlarmState::Ok)
    }
}

impl World {
    fn set_by_hand(
        &self,
        operation: &'static str,
        name: &str,
        to: AlarmState,
    ) -> Result<(), AlarmTestError> {
        let mut inner = self.inner();
        let is_down = inner.tester_down;
        match inner.alarms.get_mut(name) {
            Some((state, _)) if !is_down => {
                *state = to;
                Ok(())
            }
            _ => Err(AlarmTestError {
                operation,
                alarm: name.to_owned(),
                source: "down".into(),
            }),
        }
    }
}
