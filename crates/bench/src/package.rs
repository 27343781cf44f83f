//! What would be deployed: its size, and that of its zip file.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Sizes in bytes. Caches of compiled modules are left out: a zip file has none.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Unpacked.
    pub files: u64,
    /// As a zip file with the strongest compression that Lambda takes.
    pub zip: u64,
}

/// Python is there wherever the project is built, and its library writes zip files.
const ZIP: &str = r#"
import io, pathlib, sys, zipfile
size, sink = 0, io.BytesIO()
with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for root in map(pathlib.Path, sys.argv[1:]):
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                size += path.stat().st_size
                archive.write(path, path.relative_to(root.parent))
print(size, sink.tell())
"#;

/// Sizes of files and folders together; nothing if Python is missing or a path is.
#[must_use]
pub fn sizes(paths: &[PathBuf]) -> Option<Sizes> {
    if paths.is_empty() || !paths.iter().all(|path| Path::exists(path)) {
        return None;
    }
    let output = Command::new("python3")
        .args(["-c", ZIP])
        .args(paths)
        .output();
    let output = String::from_utf8(output.ok()?.stdout).ok()?;
    let mut numbers = output.split_whitespace().map(str::parse);
    Some(Sizes {
        files: numbers.next()?.ok()?,
        zip: numbers.next()?.ok()?,
    })
}
