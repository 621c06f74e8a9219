"""Prove to an upstream who asks, in the way its provider's ``auth_scheme`` says.

Three kinds of schemes:

* blank: the wire format's own header;
* a header that holds the secret itself (``bearer``, ``x-api-key`` ...): ``standing``
  gives it once, for every request alike;
* what depends on the request or on a token (``sigv4``, ``google-sa``, ``entra``):
  ``Signers.signed`` gives it for each request, once its body is final.

``translate`` asks ``standing`` for the headers it keeps; ``pipeline`` passes each built
call through ``Signers.signed`` before it is sent. The network is asked through the
guarded client only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from poolsite.secret_type import Secret
from providers.formats.credential_headers import (
    SIGNED,
    UnknownSchemeError,
    credential_headers,
)
from providers.proxy import auth_clouds
from providers.proxy.auth_tokens import (
    Minted,
    TokenCache,
    TokenEndpoint,
    chosen_endpoint,
    unusable,
)
from providers.proxy.exchange import Candidate, UpstreamCall
from providers.proxy.ports import UpstreamClient

_TAIL: Final = 12
_LONG: Final = 2 * _TAIL


class Ask(Struct, frozen=True):
    """What is about to be sent, as far as proof depends on it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Proof(Struct, frozen=True):
    """The headers that prove who asks.

    Shapes:  ``token`` is what of them must not come back, blank when nothing is.
    """

    headers: dict[str, str]
    token: str = ""


def standing(candidate: Candidate, secret: Secret | None) -> Mapping[str, str]:
    """Return the credential's headers that are the same for every request.

    Shapes:  empty for schemes that sign each request, and without a secret.
    Errors:  AttemptFailedError for a scheme nobody knows.
    """
    if secret is None:
        return {}
    scheme = candidate.route.provider.auth_scheme
    try:
        return credential_headers(candidate.wire, scheme, secret.reveal())
    except UnknownSchemeError as error:
        words = f"The provider's auth_scheme {scheme[:20]!r} is unknown."
        raise unusable(words) from error


class Signers:
    """Make proof for requests; one object a process.

    Cost:  nothing for providers without such a scheme; a dictionary read where a token
           is kept.
    """

    def __init__(self, client: UpstreamClient, clock: Clock) -> None:
        self._clock = clock
        self._tokens = TokenCache(clock)
        self._endpoint = TokenEndpoint(client, clock)
        self._loaded: set[str] = set()

    async def signed(self, call: UpstreamCall) -> UpstreamCall:
        """Return a call with its proof; the very same where it needs none.

        Shapes:  the secret of the call becomes what was really sent, so that it is
                 what is searched for in the answer.
        Errors:  AttemptFailedError; its words hold no secret.
        """
        if call.candidate.route.provider.auth_scheme not in SIGNED:
            return call
        if call.secret is None:
            raise unusable("This provider signs its requests and has no credential.")
        ask = Ask(call.sent.method, call.url, call.headers, call.sent.body)
        proof = await self.proof(call.candidate, call.secret, ask)
        headers = {**call.headers, **proof.headers}
        if not proof.token:
            return replace(call, headers=headers)
        return replace(
            call,
            headers=headers,
            secret=Secret(proof.token, call.secret.origin),
            marks=(*call.marks, *_marks(proof.token)),
        )

    async def headers(
        self, candidate: Candidate, secret: Secret, ask: Ask
    ) -> dict[str, str]:
        """Return the headers that prove one request.

        Errors:  AttemptFailedError.
        """
        return (await self.proof(candidate, secret, ask)).headers

    async def proof(self, candidate: Candidate, secret: Secret, ask: Ask) -> Proof:
        """Return the proof of one request, whatever its provider's scheme is.

        Errors:  AttemptFailedError.
        """
        scheme = candidate.route.provider.auth_scheme
        if scheme in SIGNED and scheme not in self._loaded:
            # Loading a library takes a tenth of a second, which other calls need.
            await asyncio.to_thread(auth_clouds.load, scheme)
            self._loaded.add(scheme)
        if scheme == "sigv4":
            return _signature(candidate, secret, ask)
        if scheme == "google-sa":
            return _bearer(await self._google(candidate, secret))
        if scheme == "entra":
            return _bearer(await self._entra(candidate, secret))
        return Proof(dict(standing(candidate, secret)))

    def forget(self, candidate: Candidate) -> None:
        """Drop the tokens of a credential an upstream refused: the next is fetched."""
        owner = _owner(candidate)
        self._tokens.forget(
            lambda key: isinstance(key, tuple) and key[: len(owner)] == owner
        )

    async def _google(self, candidate: Candidate, secret: Secret) -> str:
        options = candidate.route.provider.options
        url = chosen_endpoint(
            options.get("token_url", ""),
            auth_clouds.GOOGLE_TOKEN_URL,
            auth_clouds.GOOGLE_HOSTS,
            candidate.base_url,
        )
        scope = options.get("scope") or auth_clouds.GOOGLE_SCOPE
        fetch = partial(self._ask_google, candidate, secret, url, scope)
        return await self._tokens.get(_key(candidate, url, scope), fetch)

    async def _ask_google(
        self, candidate: Candidate, secret: Secret, url: str, scope: str
    ) -> Minted:
        assertion = auth_clouds.google_assertion(
            auth_clouds.read_google(secret.reveal()),
            audience=url,
            scope=scope,
            now_s=self._clock.time_ns() / 1e9,
        )
        form = {"grant_type": auth_clouds.JWT_GRANT, "assertion": assertion}
        return await self._endpoint.ask(url, form, candidate.allowed)

    async def _entra(self, candidate: Candidate, secret: Secret) -> str:
        options = candidate.route.provider.options
        client = auth_clouds.read_entra(secret.reveal())
        url = chosen_endpoint(
            options.get("token_url", ""),
            auth_clouds.ENTRA_TOKEN_URL.format(client.tenant_id),
            auth_clouds.ENTRA_HOSTS,
            candidate.base_url,
        )
        scope = options.get("scope") or auth_clouds.ENTRA_SCOPE
        form = {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scope": scope,
        }
        fetch = partial(self._endpoint.ask, url, form, candidate.allowed)
        return await self._tokens.get(_key(candidate, url, scope), fetch)


def _signature(candidate: Candidate, secret: Secret, ask: Ask) -> Proof:
    options = candidate.route.provider.options
    keys = auth_clouds.read_aws(secret.reveal())
    region = auth_clouds.aws_region(options, ask.url)
    scope = (
        region,
        options.get("service") or "bedrock",
        ask.headers.get("content-type", "application/json"),
    )
    made = auth_clouds.sigv4(keys, ask.method, ask.url, ask.body, scope=scope)
    return Proof(made, keys.session)


def _bearer(token: str) -> Proof:
    return Proof({"authorization": f"Bearer {token}"}, token)


def _owner(candidate: Candidate) -> tuple[int, str]:
    credential = candidate.route.credential
    return candidate.route.provider.id, "" if credential is None else credential.token


def _key(candidate: Candidate, url: str, scope: str) -> Hashable:
    return (*_owner(candidate), url, scope)


def _marks(token: str) -> tuple[bytes, ...]:
    """Return the spellings of a token that must not come back: it, and its tail."""
    raw = token.encode()
    return (raw, raw[-_TAIL:]) if len(raw) > _LONG else (raw,)
