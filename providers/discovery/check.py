"""Try a provider now: can it be reached, does it take our key, what does it serve.

The question goes out over the control plane's guarded client, never through the
proxy, and costs nothing: it asks for the model list only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.conf import settings

from poolsite import secrets
from poolsite.crypto import UnreadableSecretError
from poolsite.destinations import (
    Category,
    EgressError,
    EgressRefusedError,
    Vetter,
    host_port_of,
    origin_of,
)
from poolsite.egress_control import Answer, ControlClient
from poolsite.secret_type import Secret
from providers.catalogue import spec
from providers.formats import registry
from providers.formats.cli_backed.command import (
    PROGRAMS,
    UNNAMED_MODELS,
    is_program,
)
from providers.formats.cli_backed.lookup import find_program
from providers.formats.credential_headers import SIGNED, credential_headers
from providers.models import ApiKey, Provider

TIMEOUT_S: Final = 10.0
MOST_MODELS: Final = 5000
_LIST_LIMIT_BYTES: Final = 16 * 1024 * 1024
_LONGEST_NAME: Final = 200
_CURES: Final = {
    Category.DNS: "The host name does not resolve; check the base URL.",
    Category.REFUSED: "Nothing answers at this address; is the server running?",
    Category.TLS: "The TLS certificate is not valid for this host.",
    Category.TIMEOUT: "The provider did not answer in time; try again later.",
    Category.RESET: "The connection was cut; check the port and the protocol.",
    Category.TOO_LARGE: "The answer was too large to be a model list.",
}


_LISTS: Final = {
    "openai": "data",
    "responses": "data",
    "anthropic": "data",
    "google": "models",
    "ollama": "models",
}
"""Where each format keeps its list; some compatible servers answer without one."""
_LIST_HEADERS: Final = {"anthropic": {"anthropic-version": "2023-06-01"}}


@dataclass(frozen=True)
class Stage:
    """One step of the test.

    Units: latency in milliseconds; 0 for a step that sent nothing.
    """

    name: str
    ok: bool
    text: str
    latency_ms: int = 0


@dataclass
class CheckResult:
    """What the test found.

    Shapes:  ``state`` is a pill of the console: healthy, invalid_key, rate_limited,
             error, not_supported; ``models`` are the ids the provider lists.
    """

    stages: list[Stage] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    state: str = "healthy"
    retry_after: str = ""
    key_id: int | None = None

    @property
    def ok(self) -> bool:
        """Say whether every step passed."""
        return all(stage.ok for stage in self.stages)

    @property
    def error(self) -> str:
        """The first failure in words, blank when there is none."""
        return next((stage.text for stage in self.stages if not stage.ok), "")

    @property
    def latency_ms(self) -> int:
        """How long the provider took to answer."""
        return max((stage.latency_ms for stage in self.stages), default=0)


@dataclass(frozen=True)
class Candidate:
    """What is tried: a provider, stored or not yet.

    Shapes:  ``base_url`` may be anything somebody entered.
    """

    base_url: str
    api_format: str
    allow_private: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    needs_key: bool = True
    executable: str = ""
    auth_scheme: str = ""


def candidate_of(provider: Provider) -> Candidate:
    """Return what there is to try of a provider, stored or not."""
    entry = spec.entries().get(provider.catalogue_id)
    is_cloud = provider.location == Provider.Location.CLOUD
    is_keyless = is_program(provider.api_format)
    return Candidate(
        base_url=provider.base_url,
        api_format=provider.api_format,
        allow_private=provider.allow_private,
        headers=tuple(provider.headers.items()),
        needs_key=not is_keyless and (entry.needs_key if entry else is_cloud),
        executable=str(provider.options.get("executable", "")),
        auth_scheme=provider.auth_scheme,
    )


def check_provider(
    provider: Provider, key: ApiKey | None = None, *, timeout_s: float = TIMEOUT_S
) -> CheckResult:
    """Try a stored provider with one of its keys, the best one by default.

    Fails:  never raises for what the provider does; the result says what went wrong.
    Cost:   one outbound request of at most 10 s.
    """
    key = key or _best_key(provider)
    secret: Secret | None = None
    if key is not None:
        try:
            secret = secrets.open_for(key, "secret")
        except UnreadableSecretError as exc:
            return failed("authentication", str(exc), "invalid_key")
    result = check_candidate(candidate_of(provider), secret, timeout_s=timeout_s)
    result.key_id = None if key is None else key.pk
    return result


def check_candidate(
    candidate: Candidate, secret: Secret | None, *, timeout_s: float = TIMEOUT_S
) -> CheckResult:
    """Try a provider that need not be stored yet.

    Fails:  never raises for what the provider does.
    Cost:   one outbound request of at most 10 s.
    """
    if is_program(candidate.api_format):
        return _check_program(candidate)
    if secret is None and candidate.needs_key:
        return failed("authentication", "There is no usable key.", "invalid_key")
    wire = registry.get(candidate.api_format)
    headers = {**_LIST_HEADERS.get(candidate.api_format, {}), **dict(candidate.headers)}
    if secret is not None:
        if candidate.auth_scheme in SIGNED:
            # Such a secret is never sent; a call through the pool tries it for real.
            words = "This credential signs each request; send a test message instead."
            return failed("authentication", words, "not_supported")
        headers.update(credential_headers(wire, candidate.auth_scheme, secret.reveal()))
    url = candidate.base_url + wire.upstream_path("models", model="", stream=False)
    vetter = Vetter(settings.CONFIG.allow_private, settings.CONFIG.cloud_metadata)
    try:
        own = {host_port_of(candidate.base_url)} if candidate.allow_private else set()
        with ControlClient(
            vetter,
            read_timeout_s=timeout_s,
            deadline_s=timeout_s,
            limit_bytes=_LIST_LIMIT_BYTES,
        ) as client:
            answer = client.send(
                client.prepare(url, frozenset(own)),
                headers=headers,
                secret_origin=origin_of(candidate.base_url) if secret else None,
            )
    except EgressRefusedError as exc:
        return failed("connectivity", str(exc), "error")
    except EgressError as exc:
        return failed("connectivity", _CURES.get(exc.category, str(exc)), "error")
    return _judge(answer, candidate.api_format)


def failed(stage: str, text: str, state: str) -> CheckResult:
    """Return a result that ended at this stage."""
    return CheckResult(stages=[Stage(stage, False, text)], state=state)


def _check_program(candidate: Candidate) -> CheckResult:
    """Look for a program; it is not run, since every run is a paid call."""
    if not settings.CONFIG.cli_providers:
        text = "Programs as providers are off; POOL_CLI_PROVIDERS switches them on."
        return failed("connectivity", text, "error")
    program = PROGRAMS[candidate.api_format]
    if find_program(candidate.executable, program) is None:
        return failed("connectivity", f"There is no program {program} here.", "error")
    found = Stage("connectivity", True, f"The program {program} is installed.")
    model = UNNAMED_MODELS[candidate.api_format]
    return CheckResult(stages=[found], models=[model])


def _judge(answer: Answer, api_format: str) -> CheckResult:
    result = CheckResult()
    result.stages.append(
        Stage("connectivity", True, "The provider answers.", answer.elapsed_ms)
    )
    failure = _failure(answer)
    if failure is not None:
        stage, state = failure
        result.stages.append(stage)
        result.state = state
        result.retry_after = answer.headers.get("retry-after", "")
        return result
    result.stages.append(Stage("authentication", True, "The key is accepted."))
    try:
        listed = answer.json()
        if not _is_shape_of(api_format, listed):
            text = "The list of models is of another wire format; which is it?"
            result.stages.append(Stage("provider", False, text))
            result.state = "not_supported"
            return result
        result.models = sorted(_model_ids(listed))
    except ValueError:
        text = "The answer is not a model list; is the base URL right?"
        result.stages.append(Stage("provider", False, text))
        result.state = "not_supported"
        return result
    text = f"{len(result.models)} models listed."
    result.stages.append(Stage("provider", True, text))
    return result


def _failure(answer: Answer) -> tuple[Stage, str] | None:
    status = answer.status
    if status in (401, 403):
        text = f"The provider refused the key ({status}); is it for another region?"
        return Stage("authentication", False, text), "invalid_key"
    if status == 429:
        text = "The provider limits the rate of this key (429); try again later."
        return Stage("provider", False, text), "rate_limited"
    if status == 404:
        text = "No model list at this address (404); check the base URL's path."
        return Stage("provider", False, text), "not_supported"
    if status >= 300:
        text = f"The provider answered {status} instead of a model list."
        return Stage("provider", False, text), "error"
    return None


def _is_shape_of(api_format: str, listed: Any) -> bool:
    """Tell a list in the shape of a format from one in another's."""
    own = _LISTS.get(api_format)
    if own is None or not isinstance(listed, dict):
        return True
    return own in listed or not {"data", "models"} & listed.keys()


def _model_ids(data: Any) -> Iterable[str]:
    """Return the distinct names in a model list, at most MOST_MODELS.

    Errors:  ValueError when it is no list.
    """
    # Some vendors answer with the bare list.
    items = data
    if isinstance(data, dict):
        items = data.get("data", data.get("models"))
    if not isinstance(items, list):
        raise ValueError("no list")  # noqa: TRY004 - the caller asks about the value
    names = (_name_of(item) for item in items if isinstance(item, dict))
    good = (name.strip() for name in names if isinstance(name, str) and _is_name(name))
    return islice(dict.fromkeys(good), MOST_MODELS)


def _name_of(item: dict[str, Any]) -> Any:
    """Return a model's id: OpenAI and Anthropic say ``id``, Google and Ollama ``name``."""
    name = item.get("id", item.get("name"))
    return name.removeprefix("models/") if isinstance(name, str) else name


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= _LONGEST_NAME and text.isprintable()


def _best_key(provider: Provider) -> ApiKey | None:
    keys = provider.api_keys.filter(deleted_at=None, enabled=True)
    usable = keys.exclude(
        state__in=[ApiKey.State.UNREADABLE, ApiKey.State.ORIGIN_CHANGED]
    )
    return usable.order_by("-priority", "id").first()
