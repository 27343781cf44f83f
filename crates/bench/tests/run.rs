//! The bench's own run, in small: two subjects that need no other build, real services and a real database.

use std::path::Path;
use std::time::Duration;

use cutover_bench::journal::Place;
use cutover_bench::measure::{self, CALLS, HOPS, Plan};
use cutover_bench::subject::{Kind, Subject};
use cutover_bench::world::World;

#[test]
fn a_run_counts_what_its_subjects_do() {
    let subjects = [
        Subject::function("floor", Path::new(env!("CARGO_BIN_EXE_floor"))),
        Subject::function("empty", Path::new(env!("CARGO_BIN_EXE_empty")))
            .of_kind(Kind::Empty, None),
    ];
    let plan = Plan {
        processes: 1,
        warm: 5,
        delays: vec![Duration::from_millis(3)],
    };
    let all = cutover_bench::block_on(async {
        let world = World::start(Duration::ZERO).await;
        measure::run(&world, &subjects, &plan, |_| {}).await
    });
    let all = all.expect("a run");
    let [floor, empty] = all.as_slice() else {
        panic!("{} series", all.len());
    };
    let floor = &floor.processes[0];
    assert_eq!(
        (floor.warm_seen.calls_min, floor.warm_seen.hops),
        (CALLS, HOPS)
    );
    let calls_of = |place| floor.cold_seen.calls_of(place);
    assert_eq!(
        (
            calls_of(Place::Sessions),
            calls_of(Place::Log),
            calls_of(Place::Secrets)
        ),
        (2, 1, 2)
    );
    // What a chain of three calls takes at least, by the services' own delay.
    assert!(
        floor.warm.iter().all(|took| *took >= 3 * plan.delays[0]),
        "{:?}",
        floor.warm
    );
    assert!(floor.warm_cpu > Duration::ZERO && floor.memory.peak_kb > 0);
    assert!(empty.processes[0].cold_seen.connections.is_empty());
}
