"""`make package`: zip files for Lambda, built by cargo-lambda with zig, and a manifest of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.packages import FUNCTIONS, MANIFEST, Package, pack
from deploy.refusal import Refusal, WrongArgument
from deploy.screen import Screen, size
from deploy.settings import ARCHITECTURES, release_label

RUST_TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
BUILD_SECONDS_MAX = 3600
TARGET_SECONDS_MAX = 300


def architectures(value: str) -> tuple[str, ...]:
    """What ARCH takes. Raises WrongArgument."""
    if value in ("", "all"):
        return ARCHITECTURES
    if value not in ARCHITECTURES:
        raise WrongArgument(f"ARCH is '{value}': it takes {', '.join(ARCHITECTURES)} or all")
    return (value,)


def _installed_targets() -> set[str]:
    listed = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True, timeout=30)
    folder = Path(listed.stdout.strip()) / "lib" / "rustlib"
    return {path.name for path in folder.iterdir() if (path / "lib").is_dir()} if folder.is_dir() else set()


def prepare(architecture: str, screen: Screen) -> None:
    """See that Rust's library for the architecture is there; rustup brings it. Raises Refusal."""
    target = RUST_TARGETS[architecture]
    if target in _installed_targets():
        return
    screen.note(f"rustup target add {target}")
    try:
        done = subprocess.run(
            ["rustup", "target", "add", target], capture_output=True, text=True, timeout=TARGET_SECONDS_MAX, check=False
        )
        problem = "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1:] or ["it failed"]
    except FileNotFoundError:
        problem = ["rustup is not installed"]
    except subprocess.TimeoutExpired:
        problem = [f"nothing came in {TARGET_SECONDS_MAX} s"]
    if problem:
        raise Refusal(
            f"{architecture} needs Rust's standard library for {target}, and it can't be had: {problem[0]}. "
            f"`rustup target add {target}` where the network allows it, or Debian's libstd-rust-dev for that target"
        )


def build(project: Path, target: Path, architecture: str) -> None:
    """Build the release binaries of all functions. Raises Refusal."""
    command = [
        "cargo", "lambda", "build", "--release", "--output-format", "binary",
        "--target", RUST_TARGETS[architecture], "--lambda-dir", str(target / "lambda" / "build" / architecture),
        *(word for function in FUNCTIONS for word in ("-p", function)),
    ]  # fmt: skip
    tools = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "CARGO_TARGET_DIR": str(target)}
    try:
        done = subprocess.run(command, cwd=project, env=environment, timeout=BUILD_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as error:
        raise Refusal(f"the build took longer than {BUILD_SECONDS_MAX // 60} minutes") from error
    if done.returncode != 0:
        raise Refusal(f"cargo lambda build failed for {architecture} (exit code {done.returncode}); what it said is above")


def store(target: Path, architecture: str, version: str) -> list[Package]:
    """Pack what was built, under names that bear version and hash."""
    found = []
    for function in FUNCTIONS:
        binary = (target / "lambda" / "build" / architecture / function / "bootstrap").read_bytes()
        contents = pack(binary)
        package = Package(function, architecture, version, None, hashlib.sha256(contents).hexdigest(), len(contents))
        path = target / "lambda" / file_of(package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        found.append(package)
    return found


def file_of(package: Package) -> str:
    """Its path below `target/lambda`."""
    return package.key.removeprefix("functions/")


def manifest(target: Path, version: str, packages: list[Package]) -> None:
    """Write down what there is. Packages of the same version and another architecture stay."""
    path = target / MANIFEST
    functions: dict[str, dict[str, Any]] = {}
    if path.is_file():
        before = json.loads(path.read_text())
        if before.get("version") == version:
            functions = before["functions"]
    for package in packages:
        functions.setdefault(package.function, {})[package.architecture] = {
            "key": package.key,
            "file": file_of(package),
            "sha256": package.sha256,
            "bytes": package.bytes,
        }
    path.write_text(json.dumps({"version": version, "functions": functions}, indent=2, sort_keys=True) + "\n")


def run(project: Path, target: Path, arch: str, screen: Screen) -> None:
    """Build, pack, write the manifest. With ARCH=all what can be built stands, and what can't is told at the end."""
    version = release_label("", project)
    wanted = architectures(arch)
    missing: list[Refusal] = []
    for architecture in wanted:
        screen.heading(f"{architecture}")
        try:
            prepare(architecture, screen)
        except Refusal as refusal:
            missing.append(refusal)
            screen.warn(str(refusal))
            continue
        build(project, target, architecture)
        packages = store(target, architecture, version)
        manifest(target, version, packages)
        screen.table(
            ["function", "size", "key in the code bucket"],
            [[p.function, size(p.bytes), p.key] for p in packages],
            frozenset({1}),
        )
    if missing and len(missing) == len(wanted):
        raise missing[0]
    screen.line()
    screen.line(f"manifest: {target / MANIFEST}")
