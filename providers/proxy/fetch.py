"""Fetch what a client names by URL, for an upstream that takes files only by value.

The addresses come from strangers, so they are opened by a client that may reach public
hosts only, https by default, without credentials, without redirects, up to a size and a
time. What cannot be fetched is the request's fault and says which URL it was.

Source: reference wire P111, T36.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from poolsite.egress import EgressError, EgressRefusedError, Timeouts, read_capped
from providers.formats.base import UNREADABLE, ChatRequest, Fetched, Target
from providers.proxy.aside import aside
from providers.proxy.call import Call
from providers.proxy.errors import ClientError
from providers.proxy.exchange import Candidate
from providers.proxy.ports import UpstreamClient
from providers.snapshot.types import SettingsRecord

_MOST: Final = 20
_LONGEST_SHOWN: Final = 120
_HEADERS: Final = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "user-agent": "provider-pool",
}
_ANY: Final = "application/octet-stream"

Wanted = Callable[[ChatRequest, Target], Sequence[str]]


class Fetcher:
    """Fetch a request's files; one object a process."""

    __slots__ = ("_client",)

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def fill(self, call: Call, candidate: Candidate) -> None:
        """Put into a request what this candidate needs by value, once a call.

        Errors:  ClientError 400 that names the URL; FormatError of the bridge.
        Cost:    an attribute look-up where the bridge fetches nothing.
        """
        wanted: Wanted | None = getattr(candidate.bridge, "urls_to_fetch", None)
        if wanted is None:
            return
        request = call.request
        try:
            work = partial(wanted, request, candidate.aim)
            named = dict.fromkeys(await aside(len(request.body), work))
        except UNREADABLE:
            # Whoever words the request next says what is wrong with it.
            return
        urls = [url for url in named if url not in request.fetched]
        if not urls:
            return
        if len(urls) + len(request.fetched) > _MOST:
            raise ClientError(
                f"The request names more than {_MOST} files by URL; send them inline.",
                code="too_many_files",
            )
        call.watch.rest()
        found = await self._all(urls, call.settings)
        request.fetched = {**request.fetched, **found}

    async def _all(
        self, urls: Sequence[str], settings: SettingsRecord
    ) -> dict[str, Fetched]:
        """Fetch some files one after the other, within one size and one time."""
        found: dict[str, Fetched] = {}
        left = settings.media_limit_bytes
        url = urls[0]
        try:
            async with asyncio.timeout(settings.media_timeout_s):
                for url in urls:
                    media_type, data = await self._one(url, settings, left)
                    left -= len(data)
                    found[url] = Fetched(media_type, b64encode(data).decode("ascii"))
        except TimeoutError:
            raise _refused(url, "it did not arrive in time") from None
        return found

    async def _one(
        self, url: str, settings: SettingsRecord, limit: int
    ) -> tuple[str, bytes]:
        allowed = ("https", "http") if settings.media_plain_http else ("https",)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise _refused(url, "it is no URL") from None
        if parts.scheme.lower() not in allowed:
            raise _refused(url, f"only {' and '.join(allowed)} is fetched")
        if parts.username or parts.password:
            raise _refused(url, "it carries a credential")
        try:
            answer = await self._client.send(
                self._client.prepare(url),
                headers=_HEADERS,
                secret_origin=None,
                timeouts=Timeouts(first_byte_s=None),
                method="GET",
            )
        except EgressRefusedError:
            raise _refused(url, "its address is not public") from None
        except EgressError as error:
            raise _refused(
                url, f"it cannot be reached ({error.category.value})"
            ) from None
        try:
            if answer.status != 200:
                raise _refused(url, f"its server answered {answer.status}")
            # A length that is stated is believed; what is not stated is counted.
            length = answer.headers.get("content-length", "")
            if length.isdigit() and int(length) > limit:
                raise _refused(url, "it is too large")
            data = await read_capped(answer, limit)  # type: ignore[arg-type]
        except EgressError as error:
            raise _refused(
                url, f"it could not be read ({error.category.value})"
            ) from None
        finally:
            answer.close()
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        return media_type.lower() or _ANY, data


def _refused(url: str, why: str) -> ClientError:
    """Word a file that was not fetched; queries often hold somebody's signature."""
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    except ValueError:
        shown = url.partition("?")[0]
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[: _LONGEST_SHOWN - 1] + "…"
    return ClientError(
        f"The file at '{shown}' cannot be fetched: {why}.", code="file_not_fetched"
    )
