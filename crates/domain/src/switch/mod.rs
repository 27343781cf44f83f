//! The switch: which environment gets how much of the traffic, and what is done about it next.
//!
//! [`step()`] is the whole of it: a pure function of the stored [`State`], the time and what was observed. Production,
//! the model checker and every simulation run the same function.

mod commands;
mod danger;
mod decision;
mod drill;
mod environment;
mod evidence;
mod exposure;
mod forecast;
mod journal;
mod needs;
mod observation;
mod plan;
mod progress;
mod reading;
mod resource;
mod state;
mod step;
mod upkeep;
mod verdict;

pub use decision::{Action, Decision, Evidence, Order, Refusal, Verb};
pub use environment::{Environment, Versions, Weights};
pub use exposure::{Bound, Budget, Rate, bound, bounded_steps};
pub use forecast::{
    GuardPath, INGESTION_SECONDS, Milestone, Part, PartName, Paths, RETRY_SECONDS,
    ROLLBACK_SECONDS_MAX, RouterPath, Timeline, WorstCase, timeline, worst_case,
};
pub use journal::{BrokenChain, Entry, FIRST_HASH, Flaw, digest, verify, verify_to};
pub use needs::Needs;
pub use observation::{By, Command, Observation, Policy, ResourceChange, Start, Trigger};
pub use plan::{BAKE_SECONDS_MAX, PlanError, STEPS_MAX, Step, Strategy};
pub use reading::{
    AlarmState, Capacity, CapacityReading, CountsReading, Direction, FenceSeen, GuardReading,
    Health, Lag, LagReading, MayWrite, RouterReading, Seen, Tally, TripSeen, Validation,
};
pub use state::{
    Drill, DrillBy, FenceOrder, Intent, LastDecision, Migration, OnDrift, Phase, Purpose,
    StackNote, State,
};
pub use step::step;
pub use verdict::{ALPHA, BETA, FLOOR, Judgement, MARGIN, Verdict, verdict};
