"""Fetch a provider's list of models over the control plane's guarded client.

One question a page, no redirects, a secret only to the origin it is bound to; at most
16 MB an answer and 5,000 models a list.

Source: reference seeds 10.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.conf import settings

from poolsite.clock import Clock, SystemClock
from poolsite.destinations import (
    Category,
    EgressError,
    EgressRefusedError,
    Vetter,
    host_port_of,
)
from poolsite.egress_control import Answer, ControlClient
from poolsite.secret_type import Secret
from pricing.listing import ListedModel
from providers.discovery.echo import without_secret
from providers.discovery.lists import anthropic, azure, cloudcode, google, ollama
from providers.discovery.lists.entry import MOST_MODELS, NotAListError, distinct
from providers.discovery.lists.parse import read
from providers.formats import registry
from providers.formats.cli_backed.command import is_program
from providers.formats.credential_headers import (
    SIGNED,
    UnknownSchemeError,
    credential_headers,
)

TIMEOUT_S: Final = 30.0
CUSTOM_TIMEOUT_S: Final = 8.0
LIMIT_BYTES: Final = 16 * 1024 * 1024
MOST_SHOWN: Final = 200
"""Of so many models Ollama is asked for more; the rest keep what the list says."""

_AT_ONCE: Final = 4
_MOST_PAGES: Final = 20
_SYSTEM: Final = SystemClock()
_VERSIONED: Final = re.compile(r"/v\d+[a-z0-9]*$")
_ROOT: Final = re.compile(r"(?:/openai)?(?:/api)?(?:/v\d+[a-z0-9]*)?(?:/openai)?$")
_UNLISTED: Final = frozenset({"bedrock", "vertex", "codex"})
_WITHOUT_LIST: Final = ("minimax",)
_DEAD: Final = frozenset({Category.DNS, Category.REFUSED, Category.TLS})
_UNREADABLE: Final = (NotAListError, ArithmeticError, AttributeError, TypeError)
_CURES: Final = {
    Category.DNS: "The host name does not resolve.",
    Category.REFUSED: "Nothing answers at this address.",
    Category.TLS: "The TLS certificate is not valid for this host.",
    Category.TIMEOUT: "The provider did not answer in time.",
    Category.RESET: "The connection was cut.",
    Category.TOO_LARGE: "The answer was too large to be a model list.",
}


class ListError(Exception):
    """A list could not be had; the text is for people, without secrets."""


class NotListableError(ListError):
    """This provider has no list to ask for, or none its credential may ask for."""


class _RefusedError(ListError):
    """The credential was not taken."""


class _DeadError(ListError):
    """Nobody is there: another path would not help."""


@dataclass(frozen=True)
class Source:
    """Where a list is asked for, and with what.

    Shapes:  ``secret_origin`` is what the secret is bound to; ``catalogue_id`` and
             ``is_custom`` choose the shapes that are tried; ``options`` are the
             provider's own (api_version, project).
    """

    base_url: str
    api_format: str
    secret: Secret | None = None
    secret_origin: str | None = None
    auth_scheme: str = ""
    allow_private: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    catalogue_id: str = ""
    is_custom: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """A list, and the shape it came in."""

    shape: str
    models: list[ListedModel]


def fetch(
    source: Source, *, timeout_s: float = TIMEOUT_S, clock: Clock = _SYSTEM
) -> Listed:
    """Ask a provider what it serves.

    Errors:  NotListableError; ListError with what went wrong in a sentence.
    Cost:    one request a page, two where the first address has no list; to Ollama one
             more a model, four at a time.
    """
    if not _is_listable(source):
        raise NotListableError("This provider has no list of models to ask for.")
    limit = min(timeout_s, CUSTOM_TIMEOUT_S) if source.is_custom else timeout_s
    with ControlClient(
        Vetter(settings.CONFIG.allow_private, settings.CONFIG.cloud_metadata),
        read_timeout_s=limit,
        deadline_s=limit,
        limit_bytes=LIMIT_BYTES,
    ) as client:
        asker = _Asker(client, source, clock.monotonic() + timeout_s, clock)
        problems: list[ListError] = []
        for shape, ask in _shapes_for(source):
            try:
                return Listed(shape, distinct(ask(asker)))
            except (_RefusedError, _DeadError):
                raise
            except ListError as exc:
                problems.append(exc)
    # The first shape is the likeliest: its problem says most.
    raise problems[0]


def _is_listable(source: Source) -> bool:
    return not (
        is_program(source.api_format)
        or source.api_format in _UNLISTED
        or source.auth_scheme in SIGNED
        or source.catalogue_id.startswith(_WITHOUT_LIST)
    )


class _Asker:
    """Sends the questions of one list."""

    def __init__(
        self, client: ControlClient, source: Source, until: float, clock: Clock
    ) -> None:
        self._client = client
        self._until = until
        self._clock = clock
        self.source = source
        self.base = source.base_url.rstrip("/")
        self.root = _ROOT.sub("", self.base)
        self._allowed = (
            frozenset({host_port_of(self.base)})
            if source.allow_private
            else frozenset()
        )

    def is_late(self) -> bool:
        """Tell whether the time for this list is up."""
        return self._clock.monotonic() >= self._until

    def json(self, url: str, *, body: Any = None, retry: bool = False) -> Any:
        """Return an answer's JSON; ``retry`` = where a key is refused, try without.

        Errors:  ListError.
        """
        answer = self._send(url, body, with_key=True)
        if retry and answer.status in (401, 403) and self.source.secret is not None:
            keyless = self._send(url, body, with_key=False)
            answer = keyless if keyless.status < 300 else answer
        _check(answer)
        try:
            return answer.json()
        except ValueError:
            raise ListError("The answer is not a list of models.") from None

    def _send(self, url: str, body: Any, *, with_key: bool) -> Answer:
        if self.is_late():
            raise ListError(_CURES[Category.TIMEOUT])
        headers = self._headers(with_key=with_key)
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["content-type"] = "application/json"
        has_secret = with_key and self.source.secret is not None
        try:
            answer = self._client.send(
                self._client.prepare(url, self._allowed),
                headers=headers,
                body=data,
                secret_origin=self.source.secret_origin if has_secret else None,
                method="GET" if data is None else "POST",
            )
        except EgressRefusedError as exc:
            raise _DeadError(str(exc)) from exc
        except EgressError as exc:
            kind = _DeadError if exc.category in _DEAD else ListError
            raise kind(_CURES.get(exc.category, "The call failed.")) from exc
        return without_secret(answer, self.source.secret)

    def _headers(self, *, with_key: bool) -> dict[str, str]:
        source = self.source
        headers = {"accept": "application/json", **dict(source.headers)}
        if source.api_format == "anthropic":
            headers["anthropic-version"] = "2023-06-01"
        if with_key and source.secret is not None:
            wire = registry.get(source.api_format)
            try:
                text = source.secret.reveal()
                own = credential_headers(wire, source.auth_scheme, text)
            except UnknownSchemeError as exc:
                raise ListError("The way to sign in is not known.") from exc
            headers.update(own)
        return headers


def _check(answer: Answer) -> None:
    """Refuse what cannot be a list.

    Errors:  ListError.
    """
    status = answer.status
    if status in (401, 403):
        raise _RefusedError(f"The provider refused the key ({status}).")
    if status == 429:
        raise ListError("The provider limits the rate of this key (429).")
    if status in (404, 405, 410):
        raise ListError(f"There is no list of models at this address ({status}).")
    if status >= 300:
        raise ListError(f"The provider answered {status} instead of a list.")
    kind = answer.headers.get("content-type", "")
    if "text/html" in kind or answer.body.lstrip()[:1] == b"<":
        raise ListError("The answer is a web page, not a list of models.")


# The shapes


Ask = Callable[[_Asker], list[ListedModel]]


def _shapes_for(source: Source) -> list[tuple[str, Ask]]:
    """Return the shapes to try, in order."""
    if source.is_custom and source.api_format in ("openai", "responses"):
        return [("openai", _openai), ("ollama", _ollama), ("litellm", _litellm)]
    named = _BY_CATALOGUE.get(source.catalogue_id)
    if named is not None:
        return list(named)
    return list(_BY_FORMAT.get(source.api_format, (("openai", _openai),)))


def _read(shape: str, data: Any) -> list[ListedModel]:
    try:
        return read(shape, data)
    except _UNREADABLE:
        raise ListError("The answer is not a list of models.") from None


def _openai(asker: _Asker) -> list[ListedModel]:
    return _openai_like(asker, "openai")


def _openrouter_free(asker: _Asker) -> list[ListedModel]:
    return _openai_like(asker, "openrouter-free")


def _openai_like(asker: _Asker, shape: str) -> list[ListedModel]:
    if _VERSIONED.search(asker.base):
        return _read(shape, asker.json(f"{asker.base}/models", retry=True))
    try:
        return _read(shape, asker.json(f"{asker.base}/v1/models", retry=True))
    except (_RefusedError, _DeadError):
        raise
    except ListError:
        return _read(shape, asker.json(f"{asker.base}/models", retry=True))


def _versioned(asker: _Asker, version: str) -> str:
    return asker.base if _VERSIONED.search(asker.base) else f"{asker.base}/{version}"


def _anthropic(asker: _Asker) -> list[ListedModel]:
    url = f"{_versioned(asker, 'v1')}/models?limit=1000"

    def more(data: Any) -> str:
        after = anthropic.next_page(data)
        return f"{url}&after_id={quote(after, safe='')}" if after else ""

    return [
        model for page in _pages(asker, url, more) for model in _read("anthropic", page)
    ]


def _google(asker: _Asker) -> list[ListedModel]:
    url = f"{_versioned(asker, 'v1beta')}/models?pageSize=1000"

    def more(data: Any) -> str:
        token = google.next_page(data)
        return f"{url}&pageToken={quote(token, safe='')}" if token else ""

    return [
        model for page in _pages(asker, url, more) for model in _read("google", page)
    ]


def _pages(asker: _Asker, url: str, more: Callable[[Any], str]) -> Iterator[Any]:
    """Yield page after page; a page that points to itself is the last."""
    seen: set[str] = set()
    while url and url not in seen and len(seen) < _MOST_PAGES:
        seen.add(url)
        data = asker.json(url)
        yield data
        url = more(data)


def _ollama(asker: _Asker) -> list[ListedModel]:
    found = _read("ollama", asker.json(f"{asker.root}/api/tags"))[:MOST_MODELS]

    def look(model: ListedModel) -> ListedModel:
        if asker.is_late():
            return model
        try:
            said = asker.json(f"{asker.root}/api/show", body={"model": model.id})
        except ListError:
            return model
        return ollama.shown(model, said)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [*pool.map(look, found[:MOST_SHOWN]), *found[MOST_SHOWN:]]


def _litellm(asker: _Asker) -> list[ListedModel]:
    return _read("litellm", asker.json(f"{asker.root}/model/info"))


def _lmstudio(asker: _Asker) -> list[ListedModel]:
    return _read("lmstudio", asker.json(f"{asker.root}/api/v0/models"))


def _copilot(asker: _Asker) -> list[ListedModel]:
    return _read("copilot", asker.json(f"{asker.base}/models"))


def _cloudcode(asker: _Asker) -> list[ListedModel]:
    project = asker.source.options.get("project", "")
    body = {"project": project} if project else {}
    url = f"{asker.root}/v1internal:fetchAvailableModels"
    data = asker.json(url, body=body)
    try:
        return cloudcode.read(data)
    except _UNREADABLE:
        raise ListError("The answer is not a list of models.") from None


def _azure(asker: _Asker) -> list[ListedModel]:
    """List deployments; a resource that does not, lists what it could deploy."""
    wanted = asker.source.options.get("api_version", "")
    tries = (
        ("deployments", azure.DEPLOYMENTS_VERSION),
        ("models", wanted or azure.MODELS_VERSION),
    )
    problem = ListError("There is no list of models at this address.")
    for name, version in tries:
        query = urlencode({"api-version": version})
        try:
            return _read("azure", asker.json(f"{asker.root}/openai/{name}?{query}"))
        except (_RefusedError, _DeadError):
            raise
        except ListError as exc:
            problem = exc
    raise problem


_BY_FORMAT: Final[dict[str, tuple[tuple[str, Ask], ...]]] = {
    "anthropic": (("anthropic", _anthropic), ("openai", _openai)),
    "google": (("google", _google), ("openai", _openai)),
    "ollama": (("ollama", _ollama),),
    "copilot": (("copilot", _copilot),),
    "cloudcode": (("cloudcode", _cloudcode),),
    "azure": (("azure", _azure),),
}
_BY_CATALOGUE: Final[dict[str, tuple[tuple[str, Ask], ...]]] = {
    "openrouter-free": (("openrouter-free", _openrouter_free),),
    "litellm": (("litellm", _litellm), ("openai", _openai)),
    "lmstudio": (("lmstudio", _lmstudio), ("openai", _openai)),
    "lm-studio": (("lmstudio", _lmstudio), ("openai", _openai)),
}
