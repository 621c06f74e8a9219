"""Add a key to the generated key file, and take retired ones out of it.

Only for keys that live in the file; keys given by the environment are the
operator's to change. The file is replaced in one step, so a cut leaves the old one.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from cryptography.fernet import Fernet

from poolsite.crypto import KeyRing


def add_key(path: Path) -> str:
    """Put a fresh key in front of the file's keys; return its id.

    The key only opens until a rotation makes it the sealing one.

    Errors: FileNotFoundError when the keys do not come from this file.
    """
    key = Fernet.generate_key().decode("ascii")
    _replace(path, [key, *_read(path)])
    return KeyRing([key]).primary_kid


def keep_only(path: Path, kids: Collection[str]) -> list[str]:
    """Remove every key but the named ones; return the ids removed.

    Errors: ValueError when none would be left: the file is then not touched.
    """
    keys = {KeyRing([key]).primary_kid: key for key in _read(path)}
    kept = [key for kid, key in keys.items() if kid in kids]
    if not kept:
        raise ValueError("The key file would be empty.")
    removed = [kid for kid in keys if kid not in kids]
    if removed:
        _replace(path, kept)
    return removed


def _read(path: Path) -> list[str]:
    text = path.read_text(encoding="ascii").replace(",", "\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _replace(path: Path, keys: list[str]) -> None:
    beside = path.with_name(f"{path.name}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as stream:
        stream.write("\n".join(keys) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
