"""Try a provider now: can it be reached, does it take our key, what does it serve.

The question goes out over the control plane's guarded client, never through the
proxy, and costs nothing: it asks for the model list only. ``stages`` adds the calls
that cost something.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.conf import settings

from poolsite import secrets
from poolsite.crypto import UnreadableSecretError
from poolsite.egress_control import Answer
from poolsite.secret_type import Secret
from pricing.listing import ListedModel
from providers.catalogue import spec
from providers.discovery.asking import TOTAL_S, Asker, Candidate, Heard, Signer
from providers.discovery.lists import parse
from providers.discovery.questions import (
    Question,
    aws_code,
    is_refusal,
    proves_key,
    question_of,
    region_cure,
)
from providers.formats.cli_backed.command import (
    PROGRAMS,
    UNNAMED_MODELS,
    is_program,
)
from providers.formats.cli_backed.lookup import find_program
from providers.models import ApiKey, Provider
from providers.snapshot.speech import effective_base_url, format_plan_of

__all__ = [
    "Candidate",
    "CheckResult",
    "Stage",
    "best_key",
    "candidate_of",
    "check_candidate",
    "check_provider",
    "failed",
]

TIMEOUT_S: Final = 10.0
MOST_MODELS: Final = 5000
_LONGEST_NAME: Final = 200
_LISTS: Final = {
    "openai": "data",
    "responses": "data",
    "anthropic": "data",
    "google": "models",
    "ollama": "models",
}
"""Where each format keeps its list; some compatible servers answer without one."""


@dataclass(frozen=True)
class Stage:
    """One step of the test.

    Shapes:  ``status`` is the HTTP status, None where nothing came back; ``cure`` what
             to do about a failure; a skipped step is neither passed nor failed.
    Units:   latency in milliseconds; 0 for a step that sent nothing.
    """

    name: str
    ok: bool
    text: str
    latency_ms: int = 0
    status: int | None = None
    cure: str = ""
    skipped: bool = False

    @property
    def outcome(self) -> str:
        """Name the outcome: ok, failed or skipped."""
        if self.skipped:
            return "skipped"
        return "ok" if self.ok else "failed"


@dataclass
class CheckResult:
    """What the test found.

    Shapes:  ``state`` is a pill of the console: healthy, invalid_key, rate_limited,
             error, not_supported; ``models`` are the ids the provider lists,
             ``listed`` what it says of those it describes;
             ``base_url`` and ``api_format`` are what was found to work where that is
             something else than was entered, blank otherwise. ``entered_url`` and
             ``auth_scheme`` are what should have been entered, where a format was to
             be found out.
    """

    stages: list[Stage] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    listed: list[ListedModel] = field(default_factory=list)
    state: str = "healthy"
    retry_after: str = ""
    key_id: int | None = None
    base_url: str = ""
    api_format: str = ""
    entered_url: str = ""
    auth_scheme: str = ""

    @property
    def ok(self) -> bool:
        """Say whether every step passed."""
        return all(stage.ok or stage.skipped for stage in self.stages)

    @property
    def error(self) -> str:
        """The first failure in words, blank when there is none."""
        stage = self.failure
        return "" if stage is None else f"{stage.text} {stage.cure}".strip()

    @property
    def failure(self) -> Stage | None:
        """The step that failed first, None when none did."""
        bad = (each for each in self.stages if not (each.ok or each.skipped))
        return next(bad, None)

    @property
    def is_untestable(self) -> bool:
        """Tell a credential that cannot be tried from here from one that failed."""
        failure = self.failure
        return (
            failure is not None
            and failure.name == "authentication"
            and self.state == "not_supported"
        )

    @property
    def latency_ms(self) -> int:
        """How long the provider took to answer."""
        return max((stage.latency_ms for stage in self.stages), default=0)

    @property
    def verdict(self) -> dict[str, Any]:
        """The whole result in four values: ok, stage, status_code, message."""
        last = self.failure or next(
            (each for each in reversed(self.stages) if each.ok), None
        )
        named = "" if last is None else last.name
        if self.ok:
            named = "authentication"
        return {
            "ok": self.ok,
            "stage": named,
            "status_code": None if last is None else last.status,
            "message": self.error,
        }


def candidate_of(provider: Provider) -> Candidate:
    """Return what there is to try of a provider, stored or not."""
    entry = spec.entries().get(provider.catalogue_id)
    is_cloud = provider.location == Provider.Location.CLOUD
    is_keyless = is_program(provider.api_format)
    return Candidate(
        base_url=effective_base_url(provider),
        api_format=format_plan_of(provider).selected,
        allow_private=provider.allow_private,
        headers=tuple(provider.headers.items()),
        needs_key=not is_keyless and (entry.needs_key if entry else is_cloud),
        executable=str(provider.options.get("executable", "")),
        auth_scheme=provider.auth_scheme,
        options={str(name): str(text) for name, text in provider.options.items()},
        catalogue=provider.catalogue_id,
        slug=provider.slug,
    )


def check_provider(
    provider: Provider,
    key: ApiKey | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    sign: Signer | None = None,
) -> CheckResult:
    """Try a stored provider with one of its keys, the best one by default.

    Fails:  never raises for what the provider does; the result says what went wrong.
    Cost:   one outbound request of at most 10 s.
    """
    key = key or best_key(provider)
    secret: Secret | None = None
    if key is not None:
        try:
            secret = secrets.open_for(key, "secret")
        except UnreadableSecretError as exc:
            return failed("authentication", str(exc), "invalid_key")
    result = check_candidate(
        candidate_of(provider), secret, timeout_s=timeout_s, sign=sign
    )
    result.key_id = None if key is None else key.pk
    return result


def check_candidate(
    candidate: Candidate,
    secret: Secret | None,
    *,
    timeout_s: float = TIMEOUT_S,
    sign: Signer | None = None,
) -> CheckResult:
    """Try a provider that need not be stored yet.

    Fails:  never raises for what the provider does.
    Cost:   one outbound request of at most 10 s.
    """
    asker = Asker(candidate, secret, stage_s=timeout_s, total_s=TOTAL_S, sign=sign)
    return check_with(asker)


def check_with(asker: Asker) -> CheckResult:
    """Try the candidate of an asker, whose time goes on being used afterwards.

    Fails:  never raises for what the provider does.
    """
    candidate = asker.candidate
    if is_program(candidate.api_format):
        return _check_program(candidate)
    if not asker.has_key and candidate.needs_key:
        return failed(
            "authentication",
            "There is no usable key.",
            "invalid_key",
            cure="Enter one, or enter it again if the address has changed.",
        )
    if asker.has_key and asker.cannot_sign:
        # Such a secret is never sent; a call through the pool tries it for real.
        words = "This credential signs each request; send a test message instead."
        return failed("authentication", words, "not_supported")
    question = question_of(candidate)
    if question.missing:
        return failed("input", question.missing, "error")
    heard = asker.ask(
        candidate.base_url + question.path,
        method=question.method,
        body=question.body,
        headers=question.headers,
    )
    if heard.answer is None:
        return failed("connectivity", heard.words, "error", cure=heard.cure)
    return _judge(heard, heard.answer, question, asker)


def failed(stage: str, text: str, state: str, *, cure: str = "") -> CheckResult:
    """Return a result that ended at this stage."""
    return CheckResult(stages=[Stage(stage, False, text, cure=cure)], state=state)


def best_key(provider: Provider) -> ApiKey | None:
    """Return the key a provider is tried with, None without a usable one."""
    keys = provider.api_keys.filter(deleted_at=None, enabled=True)
    usable = keys.exclude(
        state__in=[ApiKey.State.UNREADABLE, ApiKey.State.ORIGIN_CHANGED]
    )
    return usable.order_by("-priority", "id").first()


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


def _judge(
    heard: Heard, answer: Answer, question: Question, asker: Asker
) -> CheckResult:
    candidate = asker.candidate
    secure = "TLS, " if candidate.base_url.startswith("https:") else ""
    text = f"The provider answers (DNS, TCP, {secure}HTTP)."
    reached = Stage("connectivity", True, text, answer.elapsed_ms, answer.status)
    result = CheckResult(stages=[reached])
    accepted = Stage(
        "authentication", True, "The key is accepted.", status=answer.status
    )
    if not asker.has_key:
        accepted = Stage("authentication", True, "It asks for no key.")
    if proves_key(question, candidate, heard):
        result.stages.append(accepted)
        words = "This service lists no models; name them yourself."
        result.stages.append(Stage("provider", True, words, status=answer.status))
        return result
    failure = _failure(heard, answer, question, asker)
    if failure is not None:
        stage, state = failure
        result.stages.append(stage)
        result.state = state
        result.retry_after = answer.headers.get("retry-after", "")[:40]
        return result
    result.stages.append(accepted)
    stage, result.models = _listed(answer, candidate.api_format)
    result.stages.append(stage)
    if not stage.ok:
        result.state = "not_supported"
        return result
    # Facts are a gift: a list that names its models well enough is good without them.
    with suppress(ValueError):
        result.listed = parse.read(candidate.api_format, answer.json())
    return result


def _listed(answer: Answer, api_format: str) -> tuple[Stage, list[str]]:
    try:
        listed = answer.json()
        if not _is_shape_of(api_format, listed):
            text = "The list of models is of another wire format; which is it?"
            cure = "Choose another wire format, or have it found out."
            return Stage("provider", False, text, 0, answer.status, cure), []
        models = sorted(model_ids(listed))
    except ValueError:
        text = "The answer is not a model list; is the base URL right?"
        cure = "It usually ends in /v1."
        return Stage("provider", False, text, 0, answer.status, cure), []
    text = f"{len(models)} models listed."
    return Stage("provider", True, text, status=answer.status), models


def _failure(
    heard: Heard, answer: Answer, question: Question, asker: Asker
) -> tuple[Stage, str] | None:
    status = answer.status

    def stage(name: str, text: str, cure: str) -> Stage:
        return Stage(name, False, text, status=status, cure=cure)

    if is_refusal(question, asker.candidate, heard):
        named = aws_code(heard) if asker.candidate.api_format == "bedrock" else ""
        code = f"{status}, {named}" if named else str(status)
        text = f"The provider refused the key ({code}); is it for another region?"
        return stage(
            "authentication", text, region_cure(asker.candidate)
        ), "invalid_key"
    if status == 429:
        text = "The provider limits the rate of this key (429); try again later."
        return stage("provider", text, "The key itself may be good."), "rate_limited"
    if status == 404:
        text = "No model list at this address (404); check the base URL's path."
        cure = "Some servers have none: save it and name the models yourself."
        return stage("provider", text, cure), "not_supported"
    if status >= 300:
        text = f"The provider answered {status} instead of a model list."
        said = asker.quoted(heard)
        return stage("provider", text, f"It says: {said}" if said else ""), "error"
    return None


def _is_shape_of(api_format: str, listed: Any) -> bool:
    """Tell a list in the shape of a format from one in another's."""
    own = _LISTS.get(api_format)
    if own is None or not isinstance(listed, dict):
        return True
    return own in listed or not {"data", "models"} & listed.keys()


def model_ids(data: Any) -> Iterable[str]:
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
