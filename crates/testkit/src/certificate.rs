//! A certificate authority and a server certificate for `127.0.0.1`, made anew for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder::unique_folder;

/// Files of an authority and of a server that it vouches for. They are gone when this is dropped.
pub struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    /// Makes both.
    ///
    /// # Panics
    /// If `openssl` is not installed.
    #[must_use]
    pub fn make() -> Self {
        let folder = unique_folder();
        fs::create_dir_all(&folder).expect("temporary folder");
        let certificate = Self { folder };
        let at = certificate.folder.as_path();
        openssl(
            at,
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        openssl(
            at,
            "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
        );
        fs::write(at.join("san"), "subjectAltName=IP:127.0.0.1").expect("extensions file");
        openssl(
            at,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem",
        );
        certificate
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The server's certificate, PEM.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The server's private key, PEM.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// The options that make a MariaDB server use the server's certificate.
    #[must_use]
    pub fn mariadb_options(&self) -> Vec<String> {
        vec![
            format!("--ssl-cert={}", self.server().display()),
            format!("--ssl-key={}", self.server_key().display()),
            "--require-secure-transport=ON".to_owned(),
        ]
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_ascii_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl must be installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}
