"""Compare a provider's list with the models the pool has."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pricing.listing import ListedModel
from providers.discovery.facts import ModelFacts, gather
from providers.discovery.known import known_models
from providers.discovery.lists.entry import MOST_MODELS
from providers.models import ModelList, Provider, ProviderModel
from providers.routing.access import permits

NEW: Final = "new"
BACK: Final = "back"
CHANGED: Final = "changed"
GONE: Final = "gone"
KINDS: Final = (NEW, BACK, CHANGED, GONE)


@dataclass(frozen=True)
class Line:
    """One model that differs from what the pool has.

    Shapes:  ``kind`` is one of KINDS; ``changes`` are (field, before, after).
    """

    kind: str
    model_id: str
    listed: ListedModel | None = None
    known: ListedModel | None = None
    changes: tuple[tuple[str, Any, Any], ...] = ()

    @property
    def facts(self) -> ModelFacts | None:
        """What is known of a listed model; None for one that is gone."""
        if self.listed is None:
            return None
        return gather(self.model_id, self.listed, self.known)


@dataclass
class Diff:
    """What the provider lists against what the pool has.

    Shapes:  ``kept_out`` counts listed models the provider's allowlist does not admit;
             they are not offered.
    """

    lines: list[Line] = field(default_factory=list)
    listed: int = 0
    kept_out: int = 0

    def of(self, kind: str) -> list[Line]:
        """Return the lines of one kind, by model id."""
        return [line for line in self.lines if line.kind == kind]

    def counts(self) -> dict[str, int]:
        """Return how many lines there are of each kind."""
        return {kind: len(self.of(kind)) for kind in KINDS}


def entries_of(row: ModelList | None) -> dict[str, ListedModel]:
    """Return a kept list by model id."""
    if row is None:
        return {}
    models = msgspec.convert(row.entries, list[ListedModel], strict=False)
    return {each.id: each for each in models}


def entry_of(row: ModelList | None, model_id: str) -> ListedModel | None:
    """Return one model of a kept list."""
    found = (e for e in (row.entries if row else ()) if e.get("id") == model_id)
    one = next(found, None)
    return None if one is None else msgspec.convert(one, ListedModel, strict=False)


def differences(provider: Provider, kept: ModelList | None = None) -> Diff:
    """Compare the kept list with the models the pool has; two queries.

    Nothing is gone while no list was ever fetched, nor for a list that was cut off.
    """
    kept = kept or ModelList.objects.filter(provider=provider).first()
    listed = entries_of(kept)
    rows = {row.model_id: row for row in provider.models.filter(deleted_at=None)}
    known = known_models(provider)
    diff = Diff(listed=len(listed))
    globs = tuple(provider.models_allowed)
    for name in sorted(listed):
        row = rows.get(name)
        if row is None:
            if permits(provider.model_access, globs, name):
                one = listed[name]
                diff.lines.append(Line(NEW, name, one, known.get(name, one.family)))
            else:
                diff.kept_out += 1
            continue
        line = _compared(row, listed[name], known.get(name, listed[name].family))
        if line is not None:
            diff.lines.append(line)
    is_whole = len(listed) < MOST_MODELS
    if kept is not None and kept.fetched_at is not None and is_whole:
        diff.lines += _gone(rows.values(), listed)
    return diff


def _compared(
    row: ProviderModel, listed: ListedModel, known: ListedModel | None
) -> Line | None:
    facts = gather(row.model_id, listed, known)
    changes = tuple(changes_of(row, facts))
    if row.gone_at is not None:
        return Line(BACK, row.model_id, listed, known, changes)
    return Line(CHANGED, row.model_id, listed, known, changes) if changes else None


def changes_of(row: ProviderModel, facts: ModelFacts) -> Iterable[tuple[str, Any, Any]]:
    """Yield what would be set; facts a person set and unknown ones never are."""
    for name, value in values_of(facts).items():
        if name in row.by_hand or value in (None, "", {}):
            continue
        before = getattr(row, name)
        if name == "capabilities":
            value = {**_as_dict(before), **value}
        if before != value:
            yield name, before, value


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else dict.fromkeys(value, True)


def values_of(facts: ModelFacts) -> dict[str, Any]:
    """Return the columns of a model that a list fills; None = not known."""
    window, output = facts.context_window, facts.max_output_tokens
    return {
        "display_name": facts.name[:200],
        "context_window": window and window.value,
        "max_output_tokens": output and output.value,
        "deprecated": facts.deprecated,
        "capabilities": facts.stored_capabilities(),
    }


def _gone(rows: Iterable[ProviderModel], listed: Collection[str]) -> list[Line]:
    """Return what the provider no longer lists; what a person added never goes."""
    return [
        Line(GONE, row.model_id)
        for row in sorted(rows, key=lambda row: row.model_id)
        if row.source != ProviderModel.Source.MANUAL
        and row.gone_at is None
        and row.model_id not in listed
    ]
