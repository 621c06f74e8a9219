"""Copy what passes between client and pool, where a client key asks for it.

The copy is of what the client sent and what left to the client, in the client's own
dialect; it ends at a bound, and what happens to it later is not waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from providers.snapshot.types import ClientKeyRecord, SettingsRecord
from usage.bodies.record import RAW_FACTOR
from usage.bodies.spool import Raw

if TYPE_CHECKING:
    from providers.proxy.call import Call

_log: Final = logging.getLogger("providers.proxy")


class BodyPort(Protocol):
    """Takes bodies over and keeps them (``usage.bodies.spool.Spool``)."""

    def keep(self, raw: Raw) -> None:
        """Take one call's bodies; never blocks and never fails."""


class Copy:
    """What left to one client, up to a bound.

    Units:   bytes; ``size`` is all that left, ``keep`` what is to be kept of it.
    """

    __slots__ = ("_left", "_parts", "keep", "size")

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.size = 0
        self._left = keep * RAW_FACTOR
        self._parts: list[bytes] = []

    def add(self, message: Mapping[str, Any]) -> None:
        """Note what of the answer a message carries."""
        data: bytes = message.get("body", b"")
        self.size += len(data)
        if self._left > 0 and data:
            self._parts.append(data[: self._left])
            self._left -= len(data)

    @property
    def begun(self) -> bytes:
        """The beginning of the answer."""
        return b"".join(self._parts)


def copy_for(key: ClientKeyRecord, settings: SettingsRecord) -> Copy | None:
    """Return where a call's answer is copied to, None where nothing is kept."""
    if not (key.keeps_bodies and settings.keep_bodies):
        return None
    return Copy(settings.body_keep_bytes)


def hand_over(port: BodyPort | None, call: Call) -> None:
    """Give away what was copied of a call, once.

    Fails:   never: a body that cannot be kept is no reason to fail its request.
    """
    copy = call.reply.copy
    if copy is None or port is None:
        return
    call.reply.copy = None
    try:
        port.keep(_raw(call, copy))
    except Exception:  # noqa: BLE001 - a thread that cannot start, no memory left
        _log.exception("body_not_kept", extra={"id": call.inbound.request_id})


def _raw(call: Call, copy: Copy) -> Raw:
    request = getattr(call, "request", None)
    asked: bytes | None = None if request is None else request.body
    return Raw(
        call.inbound.request_id,
        call.inbound.received_at_ns,
        copy.keep,
        None if asked is None else asked[: copy.keep * RAW_FACTOR],
        0 if asked is None else len(asked),
        copy.begun if copy.size else None,
        copy.size,
    )
