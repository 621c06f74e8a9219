"""Ask a vendor what is left on the account behind one credential.

One to three small requests over the control plane's guarded client, to the origin the
credential is bound to and nowhere else; they cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from django.conf import settings

from poolsite.destinations import (
    EgressError,
    EgressRefusedError,
    Vetter,
    host_port_of,
    origin_of,
)
from poolsite.egress_control import Answer, ControlClient
from poolsite.secret_type import Secret
from providers.discovery.accounts.answer import (
    AccountError,
    Question,
    Reader,
    Status,
    told,
)
from providers.discovery.accounts.readers import host_of
from providers.discovery.echo import without_secret

TIMEOUT_S: Final = 10.0
_LIMIT_BYTES: Final = 1024 * 1024
_UNFORESEEN: Final = (
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
"""What reading an answer of any other shape than the vendor's may end in."""


@dataclass(frozen=True)
class Asked:
    """Whose account is looked at.

    Shapes:  ``base_url`` is the provider's; the credential is sent to its origin, which
             must be ``origin``, the one it is bound to.
    """

    base_url: str
    origin: str
    allow_private: bool = False
    is_china: bool = False
    project: str = ""


def read_account(
    reader: Reader, asked: Asked, secret: Secret, *, now: datetime
) -> Status:
    """Return what the vendor tells.

    Errors:  AccountError with a code of a word: http_<status>, request_failed,
             invalid_base_url, invalid_response, no_account_status_data.
    Cost:    one to three requests, 10 s in all for each.
    """
    try:
        root = origin_of(asked.base_url)
    except EgressRefusedError as exc:
        raise AccountError("invalid_base_url") from exc
    own = {host_port_of(asked.base_url)} if asked.allow_private else set()
    vetter = Vetter(settings.CONFIG.allow_private, settings.CONFIG.cloud_metadata)
    with ControlClient(
        vetter,
        read_timeout_s=TIMEOUT_S,
        deadline_s=TIMEOUT_S,
        limit_bytes=_LIMIT_BYTES,
    ) as client:
        fetch = _Fetch(client, root, frozenset(own), asked.origin, secret)
        is_china = asked.is_china or host_of(asked.base_url).endswith(".cn")
        question = Question(fetch, is_china, now, secret.reveal, asked.project)
        try:
            status = reader(question)
        except _UNFORESEEN as exc:
            # One vendor's odd answer must not end the round over all the others.
            raise AccountError("invalid_response") from exc
    return status if status.primary == "" else told(status)


class _Fetch:
    """Send requests with one credential to one origin."""

    def __init__(
        self,
        client: ControlClient,
        root: str,
        own: frozenset[Any],
        origin: str,
        secret: Secret,
    ) -> None:
        self._client = client
        self._root = root
        self._own = own
        self._origin = origin
        self._secret = secret

    def __call__(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        sent = {
            "accept": "application/json",
            "authorization": f"Bearer {self._secret.reveal()}",
            **(headers or {}),
        }
        raw = None
        if body is not None:
            raw = msgspec.json.encode(body)
            sent["content-type"] = "application/json"
        try:
            answer = self._client.send(
                self._client.prepare(self._root + path, self._own),
                headers=sent,
                body=raw,
                secret_origin=self._origin,
                method="GET" if raw is None else "POST",
            )
        except EgressError as exc:
            raise AccountError("request_failed") from exc
        return _data(without_secret(answer, self._secret))


def _data(answer: Answer) -> Any:
    if answer.status != 200:
        raise AccountError(f"http_{answer.status}")
    try:
        return answer.json()
    except ValueError as exc:
        raise AccountError("invalid_response") from exc
