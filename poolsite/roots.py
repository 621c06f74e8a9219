"""Load or make the root secrets: signing key, encryption keys, peppers.

Order: the pipe a parent left open, then the environment (removed from it after
reading), then files of mode 0600 in ``<data>/keys``. Files are made only when
the caller says the data directory is new: a lost key must never be replaced by
a fresh one over existing ciphertext. What this process made itself is remembered,
so that a restore can take it back.
"""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

import msgspec

from poolsite.config import Roots

PIPE_VARIABLE = "POOL_ROOTS_FD"
_NAMES = {
    "secret_key": "POOL_SECRET_KEY",
    "encryption_keys": "POOL_ENCRYPTION_KEYS",
    "peppers": "POOL_PEPPERS",
}
_cached: Roots | None = None
_made: list[Path] = []
_from_environment: set[str] = set()


class MissingRootError(Exception):
    """A root secret is not there and may not be made anew."""


def load(data_dir: Path, *, may_create: bool = True) -> Roots:
    """Return the roots of this installation.

    Errors: MissingRootError naming the file and the variable, no value shown.
    Cost: reads files once a process; later calls are a memory look-up.
    """
    global _cached
    if _cached is None:
        _cached = _from_pipe() or _from_environment_and_files(data_dir, may_create)
    return _cached


def send(roots: Roots) -> int:
    """Write the roots into a new pipe and return the end a child inherits."""
    reading, writing = os.pipe()
    os.write(writing, msgspec.json.encode(roots))
    os.close(writing)
    os.set_inheritable(reading, True)
    return reading


def key_directory(data_dir: Path) -> Path:
    """Where generated roots live."""
    return data_dir / "keys"


def is_from_environment(name: str) -> bool:
    """Tell whether this process was given a root by its variable, not by its file.

    Shapes: ``name`` is secret_key | encryption_keys | peppers.
    """
    return name in _from_environment


def take_back() -> list[str]:
    """Remove the key files this very process made; return their names.

    For a data directory that gets its history from elsewhere: keys made a moment ago
    open nothing of it and would only look like the right ones.
    """
    names = [path.name for path in _made]
    for path in _made:
        path.unlink(missing_ok=True)
    _made.clear()
    return names


def _from_pipe() -> Roots | None:
    fd = os.environ.pop(PIPE_VARIABLE, None)
    if fd is None:
        return None
    with os.fdopen(int(fd), "rb") as stream:
        return msgspec.json.decode(stream.read(), type=Roots)


def _from_environment_and_files(data_dir: Path, may_create: bool) -> Roots:
    found = {name: os.environ.pop(var, "") for name, var in _NAMES.items()}
    _from_environment.update(name for name, value in found.items() if value)
    directory = key_directory(data_dir)
    for name in _NAMES:
        if not found[name]:
            found[name] = _file(directory, name, may_create)
    return Roots(
        secret_key=found["secret_key"],
        encryption_keys=_split(found["encryption_keys"]),
        peppers=_split(found["peppers"]),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(
        part.strip() for part in text.replace("\n", ",").split(",") if part.strip()
    )


def _file(directory: Path, name: str, may_create: bool) -> str:
    path = directory / name
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if not may_create:
            raise MissingRootError(
                f"{path} is missing and {_NAMES[name]} is not set; restore the file "
                "from your key backup"
            ) from None
    value = {
        "secret_key": lambda: secrets.token_urlsafe(48),
        "encryption_keys": lambda: urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "peppers": lambda: secrets.token_hex(32),
    }[name]()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process of the same first start was faster
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(fd, "w", encoding="ascii") as stream:
        stream.write(value + "\n")
    _made.append(path)
    return value
