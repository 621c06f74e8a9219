"""Keep access tokens until they expire, and fetch each of them once.

Many calls that need the same token wait for one question; a call that is cancelled does
not cancel it for the others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from poolsite.clock import Clock
from poolsite.destinations import (
    EgressError,
    EgressRefusedError,
    HostPort,
    origin_of,
    parse_url,
)
from poolsite.egress import Timeouts
from providers.formats.errors import ErrorDetail
from providers.proxy import verdict
from providers.proxy.exchange import AttemptFailedError
from providers.proxy.ports import Answer, UpstreamClient

_EARLY_S: Final = 60.0
_MOST_KEPT: Final = 1_000
_LONGEST_ANSWER: Final = 256 * 1024
_SHORTEST_LIFE_S: Final = 1.0
_TIMEOUTS: Final = Timeouts(first_byte_s=10.0, gap_s=5.0, total_s=15.0)
_FORM: Final = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
}


class Minted(msgspec.Struct, frozen=True):
    """A token fresh from its endpoint.

    Units:   ``life_s`` seconds from now.
    """

    token: str
    life_s: float

    def __repr__(self) -> str:
        # A token must not reach a log through a stray repr.
        return f"<Minted for {self.life_s:.0f} s>"


class TokenAnswer(msgspec.Struct):
    """What a token endpoint says: a token, or why there is none."""

    access_token: str = ""
    expires_in: float | str = 0
    error: Any = None


_ANSWER: Final = msgspec.json.Decoder(TokenAnswer)


class TokenCache:
    """Hold tokens by whatever tells them apart.

    Shapes:  a token is fetched anew a minute before it expires, or a tenth of its life
             before where that is less.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, str]] = {}
        self._asked: dict[Hashable, asyncio.Task[str]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Minted]]) -> str:
        """Return a token that lives.

        Errors:  what ``fetch`` raises, to everybody who waited for it.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept[0]:
            return kept[1]
        task = self._asked.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetched(key, fetch))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(task)

    def forget(self, matches: Callable[[Hashable], bool]) -> None:
        """Drop tokens an upstream refused before their time."""
        for key in [key for key in self._kept if matches(key)]:
            del self._kept[key]

    async def _fetched(
        self, key: Hashable, fetch: Callable[[], Awaitable[Minted]]
    ) -> str:
        minted = await fetch()
        life_s = max(minted.life_s, _SHORTEST_LIFE_S)
        until = self._clock.monotonic() + life_s - min(_EARLY_S, life_s / 10)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (until, minted.token)
        return minted.token

    def _answered(self, key: Hashable, done: asyncio.Task[str]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            # Whoever waited has it; when all of them left, nobody misses it.
            done.exception()


class TokenEndpoint:
    """Ask token endpoints, through the guarded way out only."""

    def __init__(self, client: UpstreamClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def ask(
        self, url: str, form: Mapping[str, str], allowed: frozenset[HostPort]
    ) -> Minted:
        """Post a form, return the token.

        Errors:  AttemptFailedError in words without anything that was sent.
        """
        try:
            destination = self._client.prepare(url, allowed)
            answer = await self._client.send(
                destination,
                headers=_FORM,
                body=urlencode(form).encode(),
                secret_origin=destination.origin,
                timeouts=_TIMEOUTS,
            )
            status, body = answer.status, await _read(answer)
        except EgressError as error:
            failure = verdict.judge_transport(error.category, before_head=True)
            raise AttemptFailedError(failure) from error
        return self._minted(status, body)

    def _minted(self, status: int, body: bytes) -> Minted:
        try:
            told = _ANSWER.decode(body)
            life_s = float(told.expires_in)
            if not math.isfinite(life_s):
                life_s = 0.0
        except (msgspec.MsgspecError, ValueError):
            told, life_s = TokenAnswer(), 0.0
        if status == 200 and told.access_token:
            return Minted(told.access_token, life_s)
        word = told.error if isinstance(told.error, str) else f"status {status}"
        # A grant that is refused comes as a 400, but the request is not at fault.
        is_ours = 400 <= status < 500 and status not in (408, 429)
        status = 502 if status < 400 else status
        detail = ErrorDetail(
            message=f"The token endpoint gave no token ({word[:100]})."
        )
        now_s = self._clock.time_ns() / 1e9
        raise AttemptFailedError(
            verdict.judge_status(401 if is_ours else status, detail, {}, now_s=now_s)
        )


def chosen_endpoint(
    asked: str, default: str, known_hosts: frozenset[str], base_url: str
) -> str:
    """Return where a token is asked for.

    A secret goes to its cloud, or to the very address it is bound to, and nowhere else
    an option might send it.

    Errors:  AttemptFailedError for any other address.
    """
    if not asked:
        return default
    try:
        destination = parse_url(asked)
        is_known = destination.host in known_hosts and destination.url.scheme == "https"
        if is_known or destination.origin == origin_of(base_url):
            return asked
    except EgressRefusedError:
        pass
    raise unusable("The token endpoint is neither the cloud's nor the provider's own.")


def unusable(message: str) -> AttemptFailedError:
    """Return the failure of a credential that cannot be used as it is stored."""
    failure = verdict.unreadable()
    detail = ErrorDetail(message=message)
    return AttemptFailedError(
        msgspec.structs.replace(failure, reason=message, detail=detail)
    )


async def _read(answer: Answer) -> bytes:
    """Read a small answer whole.

    Errors:  AttemptFailedError when it breaks off.
    """
    told = bytearray()
    try:
        async with asyncio.timeout(_TIMEOUTS.total_s):
            async for part in answer.content.iter_any():
                told += part
                if len(told) > _LONGEST_ANSWER:
                    return b""
    except (OSError, TimeoutError) as error:
        failure = verdict.broken("the token endpoint's answer broke off")
        raise AttemptFailedError(failure) from error
    finally:
        answer.close()
    return bytes(told)
