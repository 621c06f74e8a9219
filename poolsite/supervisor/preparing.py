"""Run the preparation in a child of its own and read its report."""

from __future__ import annotations

import os
import secrets as random
from base64 import urlsafe_b64encode
from typing import Final

import msgspec

from poolsite.config import Config, Roots
from poolsite.supervisor.child import spawn

REPORT_VARIABLE: Final = "POOL_REPORT_FD"


class Prepared(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the preparation found.

    Shapes:  at most one of ``error`` (nothing can be started) and ``locked`` (the
             console explains) is set; ``setup_token`` while nobody has an account.
    """

    error: str = ""
    locked: str = ""
    setup_token: str = ""
    steps: dict[str, float] = {}


def prepare(config: Config, roots: Roots) -> Prepared:
    """Bring database, files and first rows up to date.

    Fails: an ``error`` when the child ends without a report.
    """
    reading, writing = os.pipe()
    child = spawn(
        ("-m", "poolsite.cli", "prepare", "--plane", config.plane),
        config,
        roots,
        extra={REPORT_VARIABLE: str(writing)},
        pass_fds=(writing,),
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        report = stream.read()
    status = child.wait()
    if not report:
        return Prepared(error=f"the preparation ended with status {status}.")
    return msgspec.json.decode(report, type=Prepared)


def locked_roots() -> Roots:
    """Make roots that open nothing, for a console that only explains."""
    key = urlsafe_b64encode(random.token_bytes(32)).decode()
    return Roots(
        secret_key=random.token_urlsafe(48),
        encryption_keys=(key,),
        peppers=(random.token_hex(32),),
    )
