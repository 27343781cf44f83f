//! Zip files of the functions, as Lambda takes them: one executable named `bootstrap`.

use std::io::{Cursor, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::LabError;

/// A function's zip file and the key that it is stored under.
#[derive(Debug)]
pub struct Package {
    /// The key, which bears a hash of the contents: another build never takes an old one's place.
    pub key: String,
    /// The zip file.
    pub bytes: Vec<u8>,
}

/// Packs the built binary of `function`, found in `binaries`.
pub fn package(function: &str, binaries: &Path) -> Result<Package, LabError> {
    let path = binaries.join(function);
    let binary = std::fs::read(&path).map_err(|error| LabError::Setup {
        what: format!("{} can't be read ({error})", path.display()),
        why: "`make build` builds it".to_owned(),
    })?;
    let bytes = pack(&binary).map_err(LabError::process(function, "pack it"))?;
    let hash = hex::encode(Sha256::digest(&binary));
    Ok(Package {
        key: format!("{function}/{}.zip", &hash[..16]),
        bytes,
    })
}

fn pack(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored, not compressed: the file never leaves this machine.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    zip.write_all(binary)?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_one_executable_bootstrap_with_its_hash_in_the_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("some-function"), b"\x7fELF").unwrap();
        let one = package("some-function", folder.path()).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(one.bytes)).unwrap();
        assert_eq!(zip.len(), 1);
        let file = zip.by_index(0).unwrap();
        assert_eq!(
            (file.name().unwrap().as_ref(), file.unix_mode()),
            ("bootstrap", Some(0o100_755))
        );
        drop(file);

        std::fs::write(folder.path().join("some-function"), b"\x7fELG").unwrap();
        assert_ne!(
            one.key,
            package("some-function", folder.path()).unwrap().key
        );
    }

    #[test]
    fn a_missing_binary_says_how_to_build_it() {
        let error = package("no-function", Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("make build"), "{error}");
    }
}
