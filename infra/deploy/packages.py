"""The functions' zip files: those that `make package` made, or, for the local cloud, the development build."""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from deploy.refusal import Refusal
from deploy.settings import ARCHITECTURES

FUNCTIONS = ("payment-validation", "pre-migration-validator", "environment-switcher", "secret-rotation")
MANIFEST = Path("lambda") / "manifest.json"
# Before 1980 a zip file has no time. The same for every build, so that the same binary gives the same file.
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A function's zip file and its key in the code bucket."""

    function: str
    architecture: str
    version: str
    path: Path | None
    sha256: str
    bytes: int
    contents: bytes | None = None

    @property
    def key(self) -> str:
        """Bears the hash of what is in it: another build never takes an old one's place."""
        return f"functions/{self.function}/{self.version}-{self.architecture}-{self.sha256[:16]}.zip"

    def read(self) -> bytes:
        """The zip file, compared with the manifest. Raises Refusal."""
        if self.contents is not None:
            return self.contents
        contents = self.path.read_bytes() if self.path else b""
        if hashlib.sha256(contents).hexdigest() != self.sha256:
            raise Refusal(f"{self.path} is not what the manifest says: `make package` builds it anew")
        return contents


def pack(binary: bytes, *, compressed: bool = True) -> bytes:
    """A zip file with one executable named `bootstrap`; the same bytes for the same binary."""
    buffer = BytesIO()
    entry = zipfile.ZipInfo("bootstrap", EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, binary, compresslevel=9 if compressed else None)
    return buffer.getvalue()


def host_architecture() -> str:
    """What this machine runs."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def from_manifest(target: Path, architecture: str) -> list[Package]:
    """What `make package` made. Raises Refusal where something is missing."""
    path = target / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise Refusal(f"{path} is missing: `make package` builds the functions' zip files") from error
    except ValueError as error:
        raise Refusal(f"{path} is no JSON ({error}): `make package` makes it anew") from error
    found = []
    for function in FUNCTIONS:
        built = manifest["functions"].get(function, {}).get(architecture)
        if built is None:
            raise Refusal(f"there is no {architecture} package of {function}: `make package ARCH={architecture}` builds it")
        path = target / "lambda" / built["file"]
        if not path.is_file():
            raise Refusal(f"{path} is missing: `make package ARCH={architecture}` builds it")
        found.append(Package(function, architecture, manifest["version"], path, built["sha256"], built["bytes"]))
    return found


def from_development(binaries: Path) -> list[Package]:
    """The binaries that `make build` left, packed as they are: they never leave this machine. Raises Refusal."""
    found = []
    for function in FUNCTIONS:
        path = binaries / function
        if not path.is_file():
            raise Refusal(f"{path} is missing: `make build` builds it")
        contents, sha256 = _packed(path, path.stat().st_mtime_ns)
        found.append(Package(function, host_architecture(), "dev", None, sha256, len(contents), contents))
    return found


@cache
def _packed(path: Path, _changed_ns: int) -> tuple[bytes, str]:
    contents = pack(path.read_bytes(), compressed=False)
    return contents, hashlib.sha256(contents).hexdigest()


def find(target: Path, architecture: str, *, local: bool) -> list[Package]:
    """The packages to deploy. The local cloud runs this machine's binaries, whatever the parameters say."""
    if not local:
        return from_manifest(target, architecture)
    if (target / MANIFEST).is_file() and host_architecture() in _built(target):
        return from_manifest(target, host_architecture())
    return from_development(target / "debug")


def _built(target: Path) -> set[str]:
    functions = json.loads((target / MANIFEST).read_text()).get("functions", {})
    return {a for a in ARCHITECTURES if all(a in functions.get(name, {}) for name in FUNCTIONS)}
