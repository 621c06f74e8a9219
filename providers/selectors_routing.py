"""Read how the pool routes: what is in force, the draft, the history, the names known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final

import msgspec
from django.db.models import FilteredRelation, Q, QuerySet

from poolsite.models import Setting
from providers.models import (
    AccountStatus,
    Alias,
    Provider,
    ProviderModel,
    RoutingRevision,
)
from providers.snapshot.types import RoutingRecord
from usage.models import Budget, ClientKey

_MOST_KEYS: Final = 5000
_MOST_WANTED: Final = 500
_TAG_LENGTH: Final = 16
DEFAULT_MODEL: Final = "proxy.default_model"
DEFAULT_PROVIDER: Final = "proxy.default_provider"
_DEFAULTS: Final = {
    "default_model": DEFAULT_MODEL,
    "default_provider": DEFAULT_PROVIDER,
}


@dataclass(frozen=True)
class Standing:
    """What is in force, and the draft where there is one.

    Shapes:  ``published`` None = the defaults, nothing was ever published.
    """

    published: RoutingRevision | None
    draft: RoutingRevision | None

    @cached_property
    def in_force(self) -> RoutingRecord:
        """Return the routing in force."""
        return record_of(self.published)

    @cached_property
    def edited(self) -> RoutingRecord:
        """Return the draft, or what is in force while there is none."""
        return self.in_force if self.draft is None else record_of(self.draft)

    @property
    def number(self) -> int:
        """Return the number of the revision in force, 0 for the defaults."""
        return 0 if self.published is None else self.published.number

    @cached_property
    def is_changed(self) -> bool:
        """Tell whether publishing would change anything."""
        return self.draft is not None and not is_same(self.in_force, self.edited)

    @property
    def is_overtaken(self) -> bool:
        """Tell whether something else was published since the draft was begun."""
        return self.draft is not None and self.edited.revision != self.number

    @cached_property
    def tag(self) -> str:
        """Name exactly this state: whoever sends it back has seen nothing older."""
        text = msgspec.json.encode([self.number, self.draft is not None, self.edited])
        return hashlib.sha256(text).hexdigest()[:_TAG_LENGTH]


def standing() -> Standing:
    """Return what is in force and the draft; one query."""
    newest = RoutingRevision.objects.filter(is_draft=False).order_by("-number")
    rows = RoutingRevision.objects.filter(
        Q(is_draft=True) | Q(pk__in=newest.values("pk")[:1])
    )
    found = {row.is_draft: row for row in rows.select_related("author")}
    return Standing(found.get(False), found.get(True))


def record_of(row: RoutingRevision | None) -> RoutingRecord:
    """Return the document of a revision; the defaults where it cannot be read."""
    if row is None:
        return RoutingRecord()
    try:
        found = msgspec.convert(row.document, RoutingRecord)
    except msgspec.ValidationError:
        found = RoutingRecord()
    # A draft keeps the number of what it was made from.
    if row.is_draft:
        return found
    return msgspec.structs.replace(found, revision=row.number)


def is_same(one: RoutingRecord, other: RoutingRecord) -> bool:
    """Tell whether two routings do the same, whatever their numbers."""
    return msgspec.structs.replace(one, revision=other.revision) == other


def history(before: int | None = None, size: int = 50) -> list[RoutingRevision]:
    """Return published revisions, newest first; one query."""
    rows = RoutingRevision.objects.filter(is_draft=False).select_related("author")
    if before is not None:
        rows = rows.filter(number__lt=before)
    return list(rows.order_by("-number")[:size])


def revision_facts(row: RoutingRevision) -> dict[str, Any]:
    """Return what a list tells of a revision."""
    return {
        "number": row.number,
        "note": row.note,
        "by": None if row.author is None else row.author.email,
        "at": _iso(row.published_at or row.updated_at),
        "is_draft": row.is_draft,
    }


def routing_facts(record: RoutingRecord) -> dict[str, Any]:
    """Return a routing as plain data, every default written out."""
    facts = {
        name: msgspec.to_builtins(getattr(record, name))
        for name in RoutingRecord.__struct_fields__
    }
    facts["rules"] = rule_table(record)
    return facts


def rule_table(record: RoutingRecord) -> list[dict[str, Any]]:
    """Return the rules in their order, every default written out."""
    return [
        {
            "place": place,
            **{
                name: msgspec.to_builtins(getattr(rule, name))
                for name in rule.__struct_fields__
            },
        }
        for place, rule in enumerate(record.rules, start=1)
    ]


def default_model() -> str:
    """Return what a request without a model asks for; blank = one of a shortlist."""
    return defaults()["default_model"]


def default_provider() -> str:
    """Return who goes first for a bare name; blank = nobody in particular."""
    return defaults()["default_provider"]


def defaults() -> dict[str, str]:
    """Return both, under the names of their fields.

    Cost:  one query.
    """
    rows = Setting.objects.filter(key__in=_DEFAULTS.values(), secret=False)
    found = dict(rows.values_list("key", "value"))
    values = {field: found.get(key) for field, key in _DEFAULTS.items()}
    return {f: value if isinstance(value, str) else "" for f, value in values.items()}


class PoolNames:
    """What the pool has, by name; each table is read when it is first asked about.

    Cost:  one query a table, six at most; 10,000 names of models in 20 ms.
    """

    def __init__(self) -> None:
        self._wanted: set[str] = set()

    def expect(self, models: Iterable[str]) -> None:
        """Say which models will be asked about: only those are looked up then."""
        for model in models:
            self._wanted |= {model, model.partition("/")[2]} - {""}
        for kept in ("_table", "providers", "offers"):
            self.__dict__.pop(kept, None)

    @cached_property
    def providers(self) -> dict[str, bool]:
        """Return live providers by slug, and whether each is switched on."""
        return {slug: enabled for slug, enabled, _ in self._table}

    @cached_property
    def offers(self) -> frozenset[tuple[str, str]]:
        """Return who offers what of the models expected: provider and model id."""
        return frozenset((slug, model) for slug, _, model in self._table if model)

    @cached_property
    def _table(self) -> list[tuple[str, bool, str | None]]:
        """Return live providers, once for each expected model they offer."""
        wanted = Q(models__deleted_at=None, models__enabled=True)
        if len(self._wanted) <= _MOST_WANTED:
            wanted &= Q(models__model_id__in=self._wanted)
        rows = Provider.objects.filter(deleted_at=None).order_by("slug")
        if not self._wanted:
            return [(*row, None) for row in rows.values_list("slug", "enabled")]
        joined = rows.annotate(wanted=FilteredRelation("models", condition=wanted))
        return list(joined.values_list("slug", "enabled", "wanted__model_id"))

    @cached_property
    def models(self) -> frozenset[str]:
        """Return the ids of every model on offer."""
        return frozenset(_offered().values_list("model_id", flat=True).distinct())

    @cached_property
    def aliases(self) -> frozenset[str]:
        """Return the names of aliases."""
        rows = Alias.objects.filter(deleted_at=None, enabled=True)
        return frozenset(rows.values_list("name", flat=True))

    @cached_property
    def keys(self) -> list[str] | None:
        """Return the names of live client keys; None where there are too many."""
        rows = ClientKey.objects.filter(revoked_at=None).order_by("pk")
        names = list(rows.values_list("name", flat=True)[: _MOST_KEYS + 1])
        return None if len(names) > _MOST_KEYS else names

    @cached_property
    def knows_funds(self) -> bool:
        """Tell whether any account reports what is left in US dollars."""
        rows = AccountStatus.objects.filter(left__isnull=False, unit="USD")
        return rows.filter(provider__deleted_at=None).exists()

    @cached_property
    def session_limits(self) -> frozenset[str]:
        """Return which limits sessions have: soft, hard."""
        rows = Budget.objects.filter(enabled=True, scope=Budget.Scope.SESSION)
        found = set()
        for hard, warns in rows.values_list("hard", "warn_nano_usd"):
            found.add("hard" if hard else "soft")
            if warns is not None:
                found.add("soft")
        return frozenset(found)

    def some(self, count: int) -> list[str]:
        """Return some names clients may ask for, aliases first.

        Cost:  a small query where the models are not known yet.
        """
        if "models" in self.__dict__:
            ids = sorted(self.models)
        else:
            rows = _offered().order_by("model_id").values_list("model_id", flat=True)
            ids = list(rows.distinct()[:count])
        listed = dict.fromkeys([*sorted(self.aliases), *ids])
        return list(listed)[:count]

    def may_be_asked(self, pattern: str) -> bool:
        """Tell whether any name clients may ask for fits a pattern."""
        folded = pattern.casefold()
        names: Iterable[str] = (*self.aliases, *self.models)
        if any(fnmatchcase(name.casefold(), folded) for name in names):
            return True
        # An alias that is a pattern itself stands for names that are not listed.
        return any("*" in name for name in self.aliases)

    def offers_id(self, model: str) -> bool:
        """Tell whether anybody offers an expected model by exactly this id."""
        return any(model == offered for _, offered in self.offers)

    def serves(self, model: str, provider: str = "") -> bool:
        """Tell whether an expected model, or an alias of this name, leads anywhere."""
        if provider:
            return (provider, model) in self.offers
        if model in self.aliases or self.offers_id(model):
            return True
        slug, _, rest = model.partition("/")
        return bool(rest) and (slug, rest) in self.offers

    def has_key(self, patterns: Sequence[str]) -> bool:
        """Tell whether a client key fits one of the patterns, or may do so."""
        if self.keys is None:
            return True
        return any(
            fnmatchcase(name, pattern) for name in self.keys for pattern in patterns
        )


def _offered() -> QuerySet[ProviderModel]:
    return ProviderModel.objects.filter(
        deleted_at=None, enabled=True, provider__deleted_at=None
    )


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
