"""Tell what many failures have in common: a secret, a model, an account, all, or us.

Three secrets of one provider that fail alike within seconds are hardly three bad
secrets. What they share is looked for among

============  ==================================  =====================================
cause         what fails                          what still works
============  ==================================  =====================================
``key``       single secrets                      their neighbours, with the same model
``model``     every secret asked with one model   the same secrets with other models
``account``   every secret of one vendor account  the secrets of other accounts
``provider``  every secret, whatever the model    other providers
``egress``    every provider in the cloud         nothing out there
============  ==================================  =====================================

The explanation that needs the fewest exceptions wins, the narrower one where two need
as many. Only what happened since the first of the failures counts. An explanation is
widened as soon as something outside fails too: a wrong one costs one request.

Pure: no clock, no I/O; what happened goes in, a verdict comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from providers.routing.cooldowns import CooldownSettings

KEY: Final = "key"
MODEL: Final = "model"
ACCOUNT: Final = "account"
PROVIDER: Final = "provider"
EGRESS: Final = "egress"

OUTAGE: Final = "outage"
_GROUPS: Final = {
    "rate_limit": "throttle",
    "quota": "quota",
    "auth": "refused",
    "unavailable": OUTAGE,
    "server_error": OUTAGE,
    "timeout": OUTAGE,
    "connect": OUTAGE,
}
"""Kinds that count as failing alike; others are never anybody else's fault."""

_OF_THE_NETWORK: Final = frozenset({"connect", "timeout"})
_OF_AN_ACCOUNT: Final = frozenset({"quota", "refused"})
_MOST_CELLS: Final = 96
_MOST_PROVIDERS: Final = 200
_EXCEPTION: Final = 2.0
_LEAST_PROVIDERS: Final = 2


def group_of(kind: str) -> str:
    """Name the group of kinds that count as alike; blank for one that never does."""
    return _GROUPS.get(kind, "")


class Verdict(msgspec.Struct, frozen=True):
    """What a failure was found to be a part of.

    Shapes:  ``model_id`` and ``account`` are named by those causes only; ``punished``
             are the secrets, each with its model, that failed for this cause.
             ``onset`` is when the first of these failures happened.
    """

    cause: str
    group: str
    provider_id: int
    onset: float
    model_id: int = 0
    account: str = ""
    punished: tuple[tuple[str, int], ...] = ()


class Cell(msgspec.Struct):
    """What one secret with one model went through lately.

    Shapes:  ``fails`` counts those in a row, of the same group.
    Units:   monotonic seconds, 0 = never.
    """

    credential: str
    model_id: int
    account: str = ""
    group: str = ""
    fails: int = 0
    first_fail: float = 0.0
    last_fail: float = 0.0
    last_ok: float = 0.0

    def is_failing(self, group: str, since: float) -> bool:
        """Tell whether its last news is a failure of this group."""
        return self.fails > 0 and self.group == group and self.last_fail >= since

    def is_fine(self, onset: float) -> bool:
        """Tell whether it worked since, and did not fail again."""
        return self.last_ok > onset and self.last_ok >= self.last_fail


class Way(msgspec.Struct):
    """What the network way to one provider went through lately."""

    first_fail: float = 0.0
    last_fail: float = 0.0
    last_ok: float = 0.0
    fails: int = 0

    @property
    def is_failing(self) -> bool:
        """Tell whether the last news is that nobody was reached."""
        return self.fails > 0 and self.last_fail > self.last_ok


def explain(
    cells: Sequence[Cell], group: str, *, provider_id: int, least: int, since: float
) -> Verdict | None:
    """Find what the failing cells of one provider share, None when it is nothing.

    Shapes:  ``least`` different secrets must fail; ``since`` bounds what counts.
    """
    failing = [cell for cell in cells if cell.is_failing(group, since)]
    secrets = {cell.credential for cell in failing}
    if len(secrets) < least:
        return None
    onset = min(cell.first_fail for cell in failing)
    fine = [cell for cell in cells if cell.is_fine(onset)]
    alone = 2.0 * len(secrets)
    alone += _EXCEPTION * sum(cell.credential in secrets for cell in fine)
    best = (alone, KEY, 0, "")
    for price, cause, model_id, account in _scopes(failing, group):
        wrong = sum(_covers(cell, model_id, account) for cell in fine)
        wrong += sum(not _covers(cell, model_id, account) for cell in failing)
        cost = price + _EXCEPTION * wrong
        if cost < best[0]:
            best = (cost, cause, model_id, account)
    if best[1] == KEY:
        return None
    _, cause, model_id, account = best
    punished = tuple(
        (cell.credential, cell.model_id)
        for cell in failing
        if _covers(cell, model_id, account)
    )
    return Verdict(cause, group, provider_id, onset, model_id, account, punished)


def _scopes(
    failing: Iterable[Cell], group: str
) -> Iterable[tuple[float, str, int, str]]:
    """Yield what may be to blame: its price without exceptions, and its name."""
    accounts = {cell.account for cell in failing if cell.account}
    first = 1.9 if group in _OF_AN_ACCOUNT else 2.1
    for account in accounts:
        yield first, ACCOUNT, 0, account
    for model_id in {cell.model_id for cell in failing}:
        yield 2.0, MODEL, model_id, ""
    yield 2.2, PROVIDER, 0, ""


def _covers(cell: Cell, model_id: int, account: str) -> bool:
    if model_id:
        return cell.model_id == model_id
    return cell.account == account if account else True


def is_egress(ways: Iterable[Way], *, least: int, since: float) -> float | None:
    """Return since when nobody at all can be reached, None while somebody can.

    Shapes:  ``least`` failures altogether, at two providers or more.
    """
    failing = [way for way in ways if way.is_failing and way.last_fail >= since]
    if len(failing) < _LEAST_PROVIDERS or sum(way.fails for way in failing) < least:
        return None
    onset = min(way.first_fail for way in failing)
    if any(way.last_ok > onset and not way.is_failing for way in ways):
        return None
    return onset


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where something happened; ``account`` is blank when it is not known."""

    provider_id: int
    credential: str
    model_id: int
    account: str
    is_remote: bool


class Evidence:
    """What a process saw lately, kept for the diagnosis.

    Cost:  nothing while nothing fails; then a dictionary read or two for each success,
           and some 20 us for each failure.
    """

    __slots__ = ("_cells", "_settings", "_ways", "awake_until")

    def __init__(self, settings: CooldownSettings) -> None:
        self._settings = settings
        self._cells: dict[int, dict[tuple[str, int], Cell]] = {}
        self._ways: dict[int, Way] = {}
        self.awake_until = 0.0

    def configure(self, settings: CooldownSettings) -> None:
        """Take over other numbers."""
        self._settings = settings

    def worked(self, place: Place, now: float) -> None:
        """Note a success; called only while something fails."""
        if now > self.awake_until:
            self.forget()
            return
        if place.is_remote:
            way = self._way(place.provider_id)
            way.last_ok = now
            way.fails = 0
        cells = self._cells.get(place.provider_id)
        if cells is not None:
            cell = self._cell(cells, place)
            cell.last_ok = now
            cell.fails = 0

    def failed(self, place: Place, kind: str, now: float) -> Verdict | None:
        """Note a failure; return what it is part of, None when it stands alone."""
        group = group_of(kind)
        if not group:
            return None
        window = self._settings.diagnosis_window_s
        since = now - window
        self.awake_until = now + window
        cells = self._cells_of(place.provider_id, since)
        cell = self._cell(cells, place)
        if not cell.is_failing(group, since):
            cell.fails, cell.first_fail, cell.group = 0, now, group
        cell.fails += 1
        cell.last_fail = now
        if place.is_remote:
            onset = self._reached(place.provider_id, kind, now, since)
            if onset is not None:
                return Verdict(EGRESS, group, place.provider_id, onset)
        return explain(
            tuple(cells.values()),
            group,
            provider_id=place.provider_id,
            least=self._settings.diagnosis_keys,
            since=since,
        )

    def forget(self) -> None:
        """Begin anew, as after a clearing by hand."""
        self._cells.clear()
        self._ways.clear()
        self.awake_until = 0.0

    def _reached(
        self, provider_id: int, kind: str, now: float, since: float
    ) -> float | None:
        """Note whether a provider was reached; return since when none is."""
        way = self._way(provider_id)
        if kind not in _OF_THE_NETWORK:
            # It answered, if badly: the way to it is open.
            way.last_ok = now
            way.fails = 0
            return None
        if way.last_fail < since or not way.fails:
            way.fails, way.first_fail = 0, now
        way.fails += 1
        way.last_fail = now
        least = self._settings.diagnosis_keys
        return is_egress(tuple(self._ways.values()), least=least, since=since)

    def _way(self, provider_id: int) -> Way:
        way = self._ways.get(provider_id)
        if way is None:
            if len(self._ways) >= _MOST_PROVIDERS:
                self._ways.pop(next(iter(self._ways)))
            way = self._ways[provider_id] = Way()
        return way

    def _cells_of(self, provider_id: int, since: float) -> dict[tuple[str, int], Cell]:
        """Return a provider's cells, without those nothing was heard of lately."""
        cells = self._cells.get(provider_id)
        if cells is None:
            if len(self._cells) >= _MOST_PROVIDERS:
                self._cells.pop(next(iter(self._cells)))
            cells = self._cells[provider_id] = {}
        elif len(cells) >= _MOST_CELLS // 2:
            old = [k for k, v in cells.items() if max(v.last_fail, v.last_ok) < since]
            for key in old:
                del cells[key]
        return cells

    def _cell(self, cells: dict[tuple[str, int], Cell], place: Place) -> Cell:
        key = (place.credential, place.model_id)
        cell = cells.get(key)
        if cell is None:
            if len(cells) >= _MOST_CELLS:
                cells.pop(next(iter(cells)))
            cell = cells[key] = Cell(place.credential, place.model_id)
        cell.account = place.account
        return cell
