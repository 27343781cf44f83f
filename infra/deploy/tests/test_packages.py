"""Zip files and their manifest."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from deploy import package, packages
from deploy.refusal import Refusal, WrongArgument


def built(target: Path, architecture: str, contents: bytes) -> None:
    """What cargo-lambda leaves."""
    for function in packages.FUNCTIONS:
        path = target / "lambda" / "build" / architecture / function / "bootstrap"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents + function.encode())


def made(target: Path, architecture: str, version: str, contents: bytes = b"\x7fELF") -> list[packages.Package]:
    """Packages of one architecture, in the manifest."""
    built(target, architecture, contents)
    found = package.store(target, architecture, version)
    package.manifest(target, version, found)
    return found


def test_a_zip_file_is_one_executable_bootstrap_and_the_same_for_the_same_binary() -> None:
    one = packages.pack(b"\x7fELF" * 1000)
    assert one == packages.pack(b"\x7fELF" * 1000)
    assert one != packages.pack(b"\x7fELG" * 1000)
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.external_attr >> 16, archive.read(entry)) == ("bootstrap", 0o100755, b"\x7fELF" * 1000)


def test_a_key_bears_version_architecture_and_the_hash_of_the_contents(tmp_path: Path) -> None:
    first = made(tmp_path, "x86_64", "1.2.3")[0]
    contents = (tmp_path / "lambda" / package.file_of(first)).read_bytes()
    digest = hashlib.sha256(contents).hexdigest()
    assert first.key == f"functions/payment-validation/1.2.3-x86_64-{digest[:16]}.zip"


def test_the_manifest_keeps_architectures_of_one_version_and_drops_those_of_another(tmp_path: Path) -> None:
    made(tmp_path, "x86_64", "1")
    made(tmp_path, "arm64", "1")
    assert [p.architecture for p in packages.from_manifest(tmp_path, "x86_64")] == ["x86_64"] * 4
    assert [p.version for p in packages.from_manifest(tmp_path, "arm64")] == ["1"] * 4
    made(tmp_path, "arm64", "2")
    assert set(json.loads((tmp_path / packages.MANIFEST).read_text())["functions"]["secret-rotation"]) == {"arm64"}
    with pytest.raises(Refusal, match="make package ARCH=x86_64"):
        packages.from_manifest(tmp_path, "x86_64")


def test_without_packages_it_says_how_they_are_made(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="make package"):
        packages.find(tmp_path, "x86_64", local=False)
    with pytest.raises(Refusal, match="make build"):
        packages.find(tmp_path, "x86_64", local=True)


def test_the_local_cloud_takes_the_development_build_where_no_package_is(tmp_path: Path) -> None:
    (tmp_path / "debug").mkdir()
    for function in packages.FUNCTIONS:
        (tmp_path / "debug" / function).write_bytes(b"\x7fELF")
    assert {p.version for p in packages.find(tmp_path, "arm64", local=True)} == {"dev"}
    made(tmp_path, packages.host_architecture(), "1")
    assert {p.version for p in packages.find(tmp_path, "arm64", local=True)} == {"1"}


def test_a_zip_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "x86_64", "1")
    found = packages.from_manifest(tmp_path, "x86_64")[0]
    assert found.path
    found.path.write_bytes(b"other")
    with pytest.raises(Refusal, match="not what the manifest says"):
        found.read()


def test_what_is_no_architecture_is_refused() -> None:
    assert package.architectures("") == package.architectures("all") == ("x86_64", "arm64")
    with pytest.raises(WrongArgument, match="it takes x86_64, arm64 or all"):
        package.architectures("riscv")
