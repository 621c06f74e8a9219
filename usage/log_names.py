"""The words behind the numbers of the log, looked up once a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from usage.models import ClientKey, Request
from usage.selectors import strings


@dataclass
class Names:
    """The words behind the numbers of one page: strings and client keys."""

    strings: dict[int, str] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)

    def of(self, number: int | None) -> str:
        """Return the string of a number, blank for none."""
        return self.strings.get(number, "") if number is not None else ""

    def key(self, pk: int | None) -> str:
        """Return the name of a client key, also of a revoked one."""
        return self.keys.get(pk, "") if pk is not None else ""


def names_for(
    rows: Sequence[Request],
    *,
    also: Iterable[int | None] = (),
    also_keys: Iterable[int] = (),
    known_keys: Mapping[int, str] | None = None,
) -> Names:
    """Look up every name a page of requests needs, and some more; two queries.

    Shapes:  ``known_keys`` are client keys the page has read already.
    """
    found = dict(known_keys or {})
    keys = {row.client_key_id for row in rows if row.client_key_id} | set(also_keys)
    if missing := keys - found.keys():
        rows_of_keys = ClientKey.objects.filter(pk__in=missing)
        found.update(rows_of_keys.values_list("pk", "name"))
    return Names(strings([*_numbers(rows), *also]), found)


def _numbers(rows: Iterable[Request]) -> Iterable[int | None]:
    for row in rows:
        yield from (
            row.model_asked_dim,
            row.model_served_dim,
            row.provider_dim,
            row.error_dim,
            row.agent_dim,
            row.session_dim,
            row.end_user_dim,
            row.dialect_dim,
            row.purpose_dim,
        )
