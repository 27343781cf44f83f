//! What the end-to-end tests share: a lab of their own, and real functions between proxies that fail on demand.

pub mod aws_wire;
pub mod database;
pub mod http;
pub mod payer;
pub mod sandbox;
pub mod sql_wire;
mod switch_template;
pub mod switch_world;
pub mod wire;
pub mod world;

use std::path::{Path, PathBuf};

use cutover::lab::journey::LabOptions;

/// The checkout.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a parent folder")
        .to_owned()
}

/// Where cargo puts the functions' binaries, which is where it put this test's.
#[must_use]
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>")
        .to_owned()
}

/// Options of a lab in a folder of its own.
#[must_use]
pub fn lab_options(folder: &Path, rate: u32) -> LabOptions {
    std::fs::create_dir_all(folder.join("logs")).expect("a writable folder");
    LabOptions {
        project: project(),
        binaries: binaries(),
        folder: folder.to_owned(),
        rate,
        seed: 1,
        tick_seconds: 3,
        in_flight_max: 256,
        steady: None,
    }
}
