//! A throw-away MariaDB: own data folder, own port, gone when dropped.
//!
//! `mariadb-install-db` takes seconds, so its result is kept as a template beside the temporary folders and copied.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{free_port, pause, unique_folder};

/// Until a server takes connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Small and fast: a test's data need not survive anything.
const OPTIONS: [&str; 9] = [
    "--no-defaults",
    "--skip-name-resolve",
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--aria-log-file-size=8M",
    "--performance-schema=OFF",
];

/// A running server. `root` logs in without a password over TCP from this machine.
pub struct MariaDb {
    folder: PathBuf,
    port: u16,
    server: Child,
}

impl MariaDb {
    /// Starts a server.
    ///
    /// # Panics
    /// If MariaDB is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more options, for example for TLS.
    ///
    /// # Panics
    /// If MariaDB is not installed or does not start.
    #[must_use]
    pub fn start_with(options: &[String]) -> Self {
        let folder = unique_folder();
        let data = folder.join("data");
        fs::create_dir_all(&folder).expect("temporary folder");
        copy(&template(), &data).expect("copy of the template");
        let port = free_port();
        let log = fs::File::create(folder.join("server.log")).expect("log file");
        let server = Command::new("mariadbd")
            .args(OPTIONS)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .args(["--bind-address=127.0.0.1", "--user=root"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("mariadbd (Debian: mariadb-server) must be installed");
        let db = Self {
            folder,
            port,
            server,
        };
        db.wait();
        db
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL as `root` and answers what the client printed, columns by tabs.
    ///
    /// # Panics
    /// If a statement fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let output = Command::new("mariadb")
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--user=root",
                "--batch",
            ])
            .args(["--skip-column-names", "--default-character-set=utf8mb4"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--execute={statements}"))
            .arg(database)
            .output()
            .expect("mariadb (Debian: mariadb-client) must be installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\n{statements}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Options of a server that others replicate from: its number, which is its GTID domain too, and a log of whole rows.
    #[must_use]
    pub fn replicating(number: u32) -> Vec<String> {
        vec![
            format!("--server-id={number}"),
            format!("--gtid-domain-id={number}"),
            "--log-bin=binlog".to_owned(),
            "--binlog-format=ROW".to_owned(),
            "--sync-binlog=0".to_owned(),
        ]
    }

    /// Takes over everything that `source` has written and writes. Both were started as [`MariaDb::replicating`].
    ///
    /// # Panics
    /// If a statement fails.
    pub fn replicate_from(&self, source: &Self) {
        self.sql(
            "mysql",
            &format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'root', \
                 MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE",
                source.port
            ),
        );
    }

    fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                begun.elapsed() < START_TIMEOUT,
                "MariaDB did not start: see {}",
                self.folder.join("server.log").display()
            );
            pause();
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// A fresh data folder, made once a machine.
fn template() -> PathBuf {
    let template = std::env::temp_dir().join("cutover-testkit-mariadb");
    if template.join("mysql").is_dir() {
        return template;
    }
    let mine = unique_folder();
    let installed = Command::new("mariadb-install-db")
        .args(OPTIONS)
        .arg(format!("--datadir={}", mine.display()))
        .args(["--auth-root-authentication-method=normal", "--user=root"])
        .arg("--skip-test-db")
        .stdin(Stdio::null())
        .output()
        .expect("mariadb-install-db (Debian: mariadb-server) must be installed");
    let error = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "{error}");
    // Another process may have been faster: then its template is there, and this one is not needed.
    if fs::rename(&mine, &template).is_err() {
        let _removed = fs::remove_dir_all(&mine);
    }
    template
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
