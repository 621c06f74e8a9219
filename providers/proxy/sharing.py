"""Share cooldowns with the data processes of a fleet, through a stream in Redis.

Each change is one entry that everybody reads; the one probe after a cooldown belongs to
who holds its lease. All of it happens beside the requests: when Redis is away each
process goes on with what it knows, and when it is back tells the others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from providers.routing.health import Health
from usage.journal.records import Fact

STREAM: Final = "pp:{cooldowns}:news"
LEASE: Final = "pp:{cooldowns}:probe:"
PROBE_S: Final = 10.0
_TELL_S: Final = 0.05
_BLOCK_MS: Final = 1_000
_AGAIN_S: Final = 1.0
_TIMEOUT_S: Final = 3.0
_MOST_KEPT: Final = 5_000
_AT_ONCE: Final = 500
_FIRST: Final = "0-0"
_NEWS: Final = b"fact"
_WHOSE: Final = b"origin"
_log: Final = logging.getLogger("providers.proxy.sharing")


class SharedCooldowns:
    """One process's part in what all know.

    Shapes:  ``origin`` names this process; its own entries are passed over.
    """

    def __init__(self, client: Redis, health: Health, *, origin: str) -> None:
        self._client = client
        self._health = health
        self._origin = origin.encode()

    @classmethod
    def connect(cls, url: str, health: Health, *, origin: str) -> SharedCooldowns:
        """Make one with connections of its own; nothing is connected yet."""
        client = Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_AGAIN_S
        )
        return cls(client, health, origin=origin)

    async def run(self) -> None:
        """Share for ever."""
        while True:
            try:
                await self._share()
            except (RedisError, OSError) as error:
                if self._health.leases.is_on:
                    _log.warning("cooldowns_not_shared", extra={"reason": str(error)})
            finally:
                self._health.leases.is_on = False
            await asyncio.sleep(_AGAIN_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _share(self) -> None:
        """Tell what is known here, then listen and tell until something breaks.

        Errors:  RedisError, OSError.
        """
        await self._tell(self._health.told())
        self._health.leases.is_on = True
        both = [
            asyncio.ensure_future(self._listen()),
            asyncio.ensure_future(self._keep_telling()),
        ]
        try:
            await asyncio.gather(*both)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _listen(self) -> None:
        last: Any = _FIRST
        while True:
            found: Any = await self._client.xread(
                {STREAM: last}, count=_AT_ONCE, block=_BLOCK_MS
            )
            for _, entries in found or ():
                self._health.merge(self._read(entries))
                last = entries[-1][0]

    def _read(self, entries: list[Any]) -> list[Fact]:
        """Read the entries of others; what cannot be read is passed over."""
        facts = []
        for _, fields in entries:
            if fields.get(_WHOSE) == self._origin:
                continue
            try:
                facts.append(msgspec.json.decode(fields[_NEWS], type=Fact))
            except (KeyError, msgspec.MsgspecError):
                continue
        return facts

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            news = self._health.take_news()
            if news:
                await self._tell(news)
            for subject in self._health.leases.asked():
                await self._lease(subject)

    async def _tell(self, facts: list[Fact]) -> None:
        if not facts:
            return
        async with self._client.pipeline(transaction=False) as pipe:
            for fact in facts:
                entry = {_NEWS: msgspec.json.encode(fact), _WHOSE: self._origin}
                pipe.xadd(STREAM, entry, maxlen=_MOST_KEPT, approximate=True)  # type: ignore[arg-type]
                # Whatever a probe found, the next one is anybody's.
                pipe.delete(LEASE + fact.key)
            await pipe.execute()

    async def _lease(self, subject: str) -> None:
        """Ask for the right to probe; one process gets it at a time."""
        name, most_ms = LEASE + subject, int(PROBE_S * 1_000)
        is_ours = await self._client.set(name, self._origin, nx=True, px=most_ms)
        if is_ours:
            self._health.lease(subject)
            return
        left_ms = await self._client.pttl(name)
        self._health.lease(subject, taken_for_s=max(left_ms, 50) / 1_000)
