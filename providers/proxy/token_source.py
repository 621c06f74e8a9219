"""Ask the keeper for a fresh access token over its Unix socket.

One line of JSON each way. Many calls that fail on the same expired token ask once: they
share one question, and a call that is cancelled does not cancel it for the others.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

import msgspec

from providers.snapshot.types import CredentialRecord

WAIT_S: Final = 10.0
_LINE_BYTES: Final = 256 * 1024
_log: Final = logging.getLogger("providers.proxy.tokens")


class Question(msgspec.Struct, frozen=True):
    """What the keeper is asked.

    Shapes:  ``op`` is ``refresh``; ``seen_version`` the ``token_version`` that failed.
    """

    account_id: int
    seen_version: int
    op: str = "refresh"


class Reply(msgspec.Struct, frozen=True):
    """What it answers: a credential with a later ``token_version``, or a reason."""

    credential: CredentialRecord | None = None
    error: str = ""


class KeeperTokens:
    """The ``TokenSource`` of a data worker."""

    def __init__(self, socket_path: Path, *, wait_s: float = WAIT_S) -> None:
        self._path = socket_path
        self._wait_s = wait_s
        self._asked: dict[tuple[int, int], asyncio.Task[CredentialRecord | None]] = {}

    async def refresh(
        self, account_id: int, *, seen_version: int
    ) -> CredentialRecord | None:
        """Return a token newer than the one seen, None when there is none to be had.

        Fails:   never raises; gives up after 10 s.
        """
        question = (account_id, seen_version)
        task = self._asked.get(question)
        if task is None:
            task = asyncio.ensure_future(self._ask(account_id, seen_version))
            self._asked[question] = task
            task.add_done_callback(lambda _: self._asked.pop(question, None))
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.shield(task)
        except TimeoutError:
            return None

    async def aclose(self) -> None:
        """Stop asking."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, account_id: int, seen_version: int) -> CredentialRecord | None:
        try:
            async with asyncio.timeout(self._wait_s):
                reply = await self._exchange(Question(account_id, seen_version))
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            _log.warning("token_refresh_failed", extra={"reason": type(error).__name__})
            return None
        return reply.credential

    async def _exchange(self, question: Question) -> Reply:
        reader, writer = await asyncio.open_unix_connection(
            str(self._path), limit=_LINE_BYTES
        )
        try:
            writer.write(msgspec.json.encode(question) + b"\n")
            await writer.drain()
            return msgspec.json.decode(await reader.readline(), type=Reply)
        finally:
            writer.close()
