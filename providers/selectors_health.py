"""Say how providers and models are, and why: from cooldowns, failures and use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet, Sum

from providers.models import ApiKey, Fact, Provider, ProviderModel
from providers.routing.remembered import COOLDOWN_FACT, FAILURES_FACT
from providers.routing.subjects import EGRESS_SUBJECT, Parts, parse
from providers.selectors_cooldowns import counts_of, reason_in_words
from usage import dimensions
from usage.models import Dimension, RollupCube

HEALTHY: Final = "healthy"
DEGRADED: Final = "degraded"
COOLING: Final = "cooling"
ATTENTION: Final = "needs_attention"
UNKNOWN: Final = "unknown"
STATES: Final = (ATTENTION, COOLING, DEGRADED, UNKNOWN, HEALTHY)

PAGE_ROWS: Final = 50
_RECENT: Final = timedelta(hours=1)
_USED_DAYS: Final = 1
_MOST_FACTS: Final = 5_000


@dataclass(frozen=True)
class Line:
    """How one provider or model is.

    Shapes:  ``reasons`` say why, the weightiest first; ``failures`` count what went
             wrong in the last day, by reason. ``requests`` None = not asked for.
    """

    state: str
    name: str
    slug: str
    reasons: list[str]
    failures: list[tuple[str, int]] = field(default_factory=list)
    error: str = ""
    requests: int | None = None
    model: str = ""

    @property
    def title(self) -> str:
        """Say the reasons in one line."""
        return "; ".join(self.reasons)


@dataclass
class Signs:
    """Everything that tells how something is, read once.

    Shapes:  cooldowns and failures by what they concern; ``used`` are requests of
             yesterday and today by provider slug and upstream model.
    """

    now: datetime
    open: dict[str, Fact] = field(default_factory=dict)
    parts: dict[str, Parts] = field(default_factory=dict)
    failures: dict[int, Fact] = field(default_factory=dict)
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    used_of: dict[str, int] = field(default_factory=dict)
    _index: dict[tuple[str, int], list[Fact]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, now: datetime) -> Signs:
        """Read cooldowns and failures; one query."""
        made = cls(now)
        rows = Fact.objects.filter(
            Q(kind=COOLDOWN_FACT, expires_at__gt=now) | Q(kind=FAILURES_FACT)
        )
        for row in rows.order_by("-at")[:_MOST_FACTS]:
            parts = parse(row.key)
            if parts is None:
                continue
            if row.kind == COOLDOWN_FACT:
                made._put(row, parts)
            elif parts.model_id is not None:
                made.failures[parts.model_id] = row
        return made

    def read_use(self, providers: Sequence[str]) -> None:
        """Read who was used lately, of some providers; three queries, once each."""
        wanted = set(providers) - self._read
        if not wanted:
            return
        self._read |= wanted
        named = dict(
            Dimension.objects.filter(
                kind=dimensions.PROVIDER, value__in=wanted
            ).values_list("pk", "value")
        )
        rows = (
            RollupCube.objects.filter(
                provider_dim__in=named,
                bucket__gte=self.now.date() - timedelta(days=_USED_DAYS),
            )
            .values_list("provider_dim", "model_dim")
            .annotate(all=Sum("requests"))
        )
        found = [(number, model, count) for number, model, count in rows if count]
        models = dict(
            Dimension.objects.filter(
                pk__in={model for _, model, _ in found}
            ).values_list("pk", "value")
        )
        for number, model, count in found:
            slug = named[number]
            self.used[slug, models.get(model, "")] = count
            self.used_of[slug] = self.used_of.get(slug, 0) + count

    def about(self, scope: str, number: int) -> list[Fact]:
        """Return the cooldowns of a scope that concern a provider or a model.

        Shapes:  ``limit`` goes by the provider, ``limit_model`` by the model.
        """
        return self._index.get((scope, number), [])

    def _put(self, row: Fact, parts: Parts) -> None:
        self.open[row.key] = row
        self.parts[row.key] = parts
        number = parts.model_id if parts.scope == "model" else parts.provider_id
        self._index.setdefault((parts.scope, number or 0), []).append(row)
        if parts.scope == "limit":
            place = ("limit_model", parts.model_id or 0)
            self._index.setdefault(place, []).append(row)

    def is_fresh(self, row: Fact | None) -> bool:
        """Tell whether something failed within the hour."""
        return row is not None and row.at > self.now - _RECENT


# Providers


def provider_health(signs: Signs) -> list[Line]:
    """Return how each enabled provider is, the worst first; six queries."""
    providers = list(
        Provider.objects.filter(deleted_at=None, enabled=True).order_by("name")
    )
    signs.read_use([row.slug for row in providers])
    keys: dict[int, list[ApiKey]] = {}
    for key in ApiKey.objects.filter(deleted_at=None, enabled=True).only(
        "provider_id", "state"
    ):
        keys.setdefault(key.provider_id, []).append(key)
    models: dict[int, list[int]] = {}
    concerned = ProviderModel.objects.filter(
        pk__in={*signs.failures, *_model_ids(signs)}
    )
    for number, owner in concerned.values_list("pk", "provider_id"):
        models.setdefault(owner, []).append(number)
    lines = [
        _provider_line(row, signs, keys.get(row.pk, []), models.get(row.pk, []))
        for row in providers
    ]
    return sorted(lines, key=lambda line: (STATES.index(line.state), line.name))


def _model_ids(signs: Signs) -> set[int]:
    return {p.model_id for p in signs.parts.values() if p.model_id is not None}


def _provider_line(
    provider: Provider,
    signs: Signs,
    keys: Sequence[ApiKey],
    models: Sequence[int],
) -> Line:
    failing = [signs.failures[number] for number in models if number in signs.failures]
    used = signs.used_of.get(provider.slug, 0)
    state, reasons = _provider_state(provider, signs, keys, models)
    is_failing = [row for row in failing if signs.is_fresh(row)]
    if state in (HEALTHY, UNKNOWN) and is_failing:
        state = DEGRADED
        reasons = [f"{len(is_failing)} of its models failed within the hour"]
    if state == UNKNOWN and (used or provider.tested_at):
        state, reasons = HEALTHY, []
    newest = max(failing, key=lambda row: row.at, default=None)
    return Line(
        state=state,
        name=provider.name,
        slug=provider.slug,
        reasons=reasons,
        failures=_sum([counts_of(row.payload) for row in failing]),
        error="" if newest is None else str(newest.payload.get("error", ""))[:200],
        requests=used,
    )


def _provider_state(
    provider: Provider,
    signs: Signs,
    keys: Sequence[ApiKey],
    models: Sequence[int],
) -> tuple[str, list[str]]:
    """Find the worst of what is known; unknown when nothing is."""
    bad = [key for key in keys if key.state != ApiKey.State.OK]
    if keys and len(bad) == len(keys):
        return ATTENTION, ["Every key of it needs attention"]
    own = signs.about("provider", provider.pk)
    if provider.location == Provider.Location.CLOUD and EGRESS_SUBJECT in signs.open:
        own.append(signs.open[EGRESS_SUBJECT])
    if own:
        return COOLING, [_because(own[0])]
    resting = signs.about("credential", provider.pk)
    if keys and len(resting) >= len(keys):
        return COOLING, [f"Every key of it rests: {_because(resting[0])}"]
    reasons = []
    if bad:
        reasons.append(f"{len(bad)} of {len(keys)} keys need attention")
    others = signs.about("limit", provider.pk) + signs.about("account", provider.pk)
    others += [row for number in models for row in signs.about("model", number)]
    if resting or others:
        some = [*resting, *others]
        what = "A part of it rests" if len(some) == 1 else f"{len(some)} parts rest"
        reasons.append(f"{what}: {_because(some[0])}")
    if provider.status == Provider.Status.ERROR and provider.last_error:
        reasons.append(provider.last_error)
    return (DEGRADED, reasons) if reasons else (UNKNOWN, ["Nobody asked it lately"])


# Models


def model_health(signs: Signs, *, number: int = 1, only_bad: bool = True) -> Page[Any]:
    """Return a page of models and how they are; five queries.

    Shapes:  ``only_bad`` = those something speaks against; else every enabled one.
    """
    rows = _enabled_models()
    if only_bad:
        rows = rows.filter(
            Q(pk__in={*signs.failures, *_model_ids(signs)})
            | Q(probe_ok=False)
            | Q(gone_at__isnull=False)
        )
    page: Page[Any] = Paginator(rows, PAGE_ROWS).get_page(number)
    found = list(page.object_list)
    signs.read_use(sorted({row.provider.slug for row in found}))
    page.object_list = [_model_line(row, signs) for row in found]
    return page


def _enabled_models() -> QuerySet[ProviderModel]:
    return (
        ProviderModel.objects.filter(
            deleted_at=None,
            enabled=True,
            provider__deleted_at=None,
            provider__enabled=True,
        )
        .select_related("provider")
        .order_by("model_id", "provider__name", "pk")
    )


def _model_line(model: ProviderModel, signs: Signs) -> Line:
    failures = signs.failures.get(model.pk)
    used = signs.used.get((model.provider.slug, model.model_id), 0)
    state, reasons = _model_state(model, signs, failures)
    if state == UNKNOWN and (used or model.probe_ok):
        state, reasons = HEALTHY, []
    return Line(
        state=state,
        name=model.provider.name,
        slug=model.provider.slug,
        model=model.model_id,
        reasons=reasons,
        failures=[] if failures is None else counts_of(failures.payload),
        error=(
            "" if failures is None else str(failures.payload.get("error", ""))[:200]
        ),
        requests=used,
    )


def _model_state(
    model: ProviderModel, signs: Signs, failures: Fact | None
) -> tuple[str, list[str]]:
    own = signs.about("model", model.pk) + signs.about("provider", model.provider_id)
    if own:
        return COOLING, [_because(own[0])]
    if model.gone_at is not None:
        return ATTENTION, ["Its provider lists it no longer"]
    reasons = []
    limits = signs.about("limit_model", model.pk)
    if limits:
        reasons.append(f"Rests with {len(limits)} of its keys: {_because(limits[0])}")
    if failures is not None and signs.is_fresh(failures):
        counts = ", ".join(f"{n} x {word}" for word, n in counts_of(failures.payload))
        reasons.append(f"Failed within the hour: {counts}")
    if model.probe_ok is False:
        reasons.append(model.probe_note or "Its last probe failed")
    return (DEGRADED, reasons) if reasons else (UNKNOWN, ["Nobody asked it lately"])


def _because(row: Fact) -> str:
    return reason_in_words(str(row.payload.get("reason", "")))


def _sum(counts: Sequence[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    total: dict[str, int] = {}
    for each in counts:
        for word, number in each:
            total[word] = total.get(word, 0) + number
    return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))


def table(*, now: datetime) -> dict[str, Any]:
    """Return the health of providers, and of the models something speaks against."""
    signs = Signs.read(now)
    return {
        "providers": [_facts(line) for line in provider_health(signs)],
        "models": [_facts(line) for line in model_health(signs).object_list],
    }


def _facts(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {
        "provider": line.slug,
        "state": line.state,
        "reasons": line.reasons,
        "failures": dict(line.failures),
        "error": line.error or None,
        "requests": line.requests,
    }
    return {**found, "model": line.model} if line.model else found
