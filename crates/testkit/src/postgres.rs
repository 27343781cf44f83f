//! A throw-away PostgreSQL: own data folder, own port, gone when dropped.
//!
//! `initdb` takes a second, so its result is kept as a template beside the temporary folders and copied. PostgreSQL refuses
//! to run as root: root runs it as the user `postgres`, which the package makes.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::folder::{free_port, pause, unique_folder};

/// Until a server takes logins.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Until a server that was told to stop at once is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Where Debian keeps the programs, a folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who runs the server when we are root.
const USER: &str = "postgres";

/// Small and fast: a test's data need not survive anything.
const SETTINGS: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=.",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=100",
    "autovacuum=off",
    "password_encryption=scram-sha-256",
    "wal_level=minimal",
    "max_wal_senders=0",
];

/// For logical replication. Later settings stand over earlier ones.
const REPLICATING: [&str; 3] = [
    "wal_level=logical",
    "max_wal_senders=10",
    "max_replication_slots=10",
];

/// A running server. Who comes by TCP needs a password.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    server: Child,
}

impl Postgres {
    /// Starts a server without TLS.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a server; with a certificate it takes connections over TLS only.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start_with(certificate: Option<&Certificate>) -> Self {
        Self::launch(certificate, &[])
    }

    /// Starts a server that others can subscribe to, with more settings (`name=value`), which stand over the usual ones.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start_replicating(more: &[&str]) -> Self {
        Self::launch(None, &[&REPLICATING, more].concat())
    }

    fn launch(certificate: Option<&Certificate>, more: &[&str]) -> Self {
        let programs = programs();
        let template = template(&programs);
        let folder = unique_folder();
        fs::create_dir_all(&folder).expect("temporary folder");
        own(&folder);
        let data = folder.join("data");
        run(as_user("cp").arg("-a").arg(&template).arg(&data));
        let port = free_port();
        let log = fs::File::create(folder.join("server.log")).expect("log file");
        let mut server = as_user(programs.join("postgres"));
        server.arg("-D").arg(&data).arg(format!("-p{port}"));
        for setting in SETTINGS.iter().chain(more) {
            server.arg("-c").arg(setting);
        }
        if let Some(certificate) = certificate {
            server.args(tls(certificate, &data));
        }
        let server = server
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("PostgreSQL starts");
        let mut db = Self {
            folder,
            programs,
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

    /// What the server wrote into its log so far.
    ///
    /// # Panics
    /// If it can't be read.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).expect("log file")
    }

    /// Runs SQL as the superuser, each statement on its own, and answers what was selected, columns by tabs.
    ///
    /// # Panics
    /// If a statement fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(database, statements)
            .unwrap_or_else(|error| panic!("{error}\n{statements}"))
    }

    fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut psql = as_user(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-F\t", "-vON_ERROR_STOP=1"])
            .args(["-U", "postgres", "-d", database])
            .arg("-h")
            .arg(self.folder.join("data"))
            .arg(format!("-p{}", self.port))
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql (Debian: postgresql) must be installed");
        // By its input, because `--command` would put all statements into one transaction. If it could not log in it has
        // ended, and its own error says why.
        if let Some(mut input) = psql.stdin.take() {
            let _taken = input.write_all(statements.as_bytes());
        }
        let output = psql.wait_with_output().expect("psql ends");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let answer = String::from_utf8_lossy(&output.stdout);
        Ok(answer.trim_end().to_owned())
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while let Err(error) = self.try_sql("postgres", "SELECT 1") {
            let ended = self.server.try_wait().ok().flatten();
            assert!(
                ended.is_none() && begun.elapsed() < START_TIMEOUT,
                "PostgreSQL did not start: {error}\n{}",
                self.log()
            );
            pause();
        }
    }
}

impl Drop for Postgres {
    /// Told to stop at once, the server ends its own processes and frees what it shares with them; killed, it could not.
    fn drop(&mut self) {
        let _told = as_user(self.programs.join("pg_ctl"))
            .args(["stop", "--mode=immediate", "--no-wait", "--silent", "-D"])
            .arg(self.folder.join("data"))
            .output();
        let begun = Instant::now();
        while matches!(self.server.try_wait(), Ok(None)) && begun.elapsed() < STOP_TIMEOUT {
            pause();
        }
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// Where the programs are: in Debian's folder of the newest version, else where the path leads.
fn programs() -> PathBuf {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .is_file()
                .then_some((version, programs))
        })
        .max();
    if let Some((_, programs)) = newest {
        return programs;
    }
    let found = Command::new("sh")
        .args(["-c", "command -v initdb"])
        .output()
        .expect("a shell");
    let initdb = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let initdb = fs::canonicalize(initdb).expect(
        "PostgreSQL is not installed: apt-get install postgresql, or put its initdb on the PATH",
    );
    initdb.parent().expect("a folder").to_path_buf()
}

/// A fresh data folder, made once a machine, version and user.
fn template(programs: &Path) -> PathBuf {
    let version = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()
        .expect("postgres runs");
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split_whitespace().nth(2).expect("its version");
    let name = format!("cutover-testkit-postgres-{version}-{}", our_uid());
    let template = std::env::temp_dir().join(name);
    if template.is_dir() {
        return template;
    }
    let mine = unique_folder();
    fs::create_dir_all(&mine).expect("temporary folder");
    own(&mine);
    run(as_user(programs.join("initdb"))
        .args(["--username=postgres", "--encoding=UTF8", "--no-locale"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .args(["--no-sync", "-D"])
        .arg(mine.join("data")));
    // Another process may have been faster: then its template is there, and this one is not needed.
    if template.is_dir() || fs::rename(mine.join("data"), &template).is_err() {
        assert!(template.is_dir(), "{} can be made", template.display());
    }
    let _removed = fs::remove_dir_all(&mine);
    template
}

/// Options for TLS, and nothing but TLS from the network.
fn tls(certificate: &Certificate, data: &Path) -> Vec<String> {
    for (from, name) in [
        (certificate.server(), "server.pem"),
        (certificate.server_key(), "server.key"),
    ] {
        let target = data.join(name);
        fs::copy(from, &target).expect("copy of the certificate");
        // The server refuses a key that others may read.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("permissions");
        own(&target);
    }
    let access = "local all all trust\nhostssl all all all scram-sha-256\n";
    fs::write(data.join("pg_hba.conf"), access).expect("access rules");
    [
        "ssl=on",
        "ssl_cert_file=server.pem",
        "ssl_key_file=server.key",
    ]
    .into_iter()
    .flat_map(|setting| ["-c".to_owned(), setting.to_owned()])
    .collect()
}

/// A command that runs as the user of the server.
fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = if our_uid() == 0 {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={USER}"), format!("--regid={USER}")])
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    // Where everyone may be.
    command.current_dir(std::env::temp_dir());
    command
}

/// Gives a file or folder to the user of the server.
fn own(path: &Path) {
    if our_uid() == 0 {
        chown(path, Some(id(&["-u", USER])), Some(id(&["-g", USER]))).expect("chown");
    }
}

fn our_uid() -> u32 {
    id(&["-u"])
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().expect("id");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .expect("the user postgres, which Debian's package postgresql makes")
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it can run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}
