//! What every throw-away server needs: a folder and a port that no other has, and a little patience.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A name that no other process and no other call is given. Short: a socket's path has 107 bytes at most.
pub(crate) fn unique_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("cutover-testkit-{}-{count}", std::process::id()))
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

#[expect(clippy::disallowed_methods, reason = "a test's set-up may wait")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
