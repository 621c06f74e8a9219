"""Answer a question from the rollups: totals, lines, the course, the distribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from usage import rollups
from usage.dashboards import question as questions
from usage.dashboards import sums
from usage.dashboards.periods import Period
from usage.dashboards.question import TAG, Question, Source
from usage.dashboards.sums import COLUMNS, METRIC_COLUMNS, Line
from usage.selectors import GROUPS, names_of

PAGE: Final = 25
SERIES: Final = 7
NOBODY: Final = -1
"""The line of what carries no value of the group, such as calls without a client key."""

_PARTIAL: Final = frozenset({"key", "team", "agent", "user", "session", TAG})
TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
)


@dataclass
class Answer:
    """What a dashboard shows.

    Shapes:  ``lines`` are one page of them, all are ``count`` where that is known;
             ``course`` has a list a line of the chart, ``whole`` the columns of TOKENS
             behind the metric, step by step; ``cells`` all COLUMNS by value and step
             where they were read at once. ``source`` None = no rollup can answer.
    """

    question: Question
    source: Source | None = None
    total: Line = field(default_factory=Line)
    lines: list[Line] = field(default_factory=list)
    has_more: bool = False
    starts: list[datetime] = field(default_factory=list)
    course: dict[int, list[int]] = field(default_factory=dict)
    whole: list[list[int]] = field(default_factory=list)
    cells: dict[int, list[list[int]]] = field(default_factory=dict)

    @property
    def is_cube(self) -> bool:
        """Say whether it comes from the daily cube, which keeps no times by line."""
        return bool(self.source and self.source.column)

    @property
    def period(self) -> Period:
        """The stretch that was added up: whole UTC days for some questions."""
        return self.source.period if self.source else self.question.period

    @property
    def is_widened(self) -> bool:
        """Say whether more was added up than was asked for."""
        asked = self.question.period
        here = self.period
        return (here.since, here.until) != (asked.since, asked.until)


def answer(question: Question, *, page: int = 0) -> Answer:
    """Add up what a page of the dashboard shows.

    Cost:  at most seven queries over rollups, never one over requests.
    """
    source = questions.source_of(question)
    if source is None:
        return Answer(question)
    found = Answer(question, source, starts=source.period.steps())
    if source.column:
        found.cells = sums.by_step(source, found.starts, COLUMNS)
    lines, total = _lines(found, source, page)
    start = 0 if is_sorted_there(question) else page * PAGE
    found.has_more = len(lines) > start + PAGE
    found.lines = lines[start : start + PAGE]
    found.total = total
    add_names(question, found.lines)
    _add_course(found)
    _add_times(found)
    for line in found.lines:
        line.amount = line.value(question.metric)
        line.amount_before = line.before.value(question.metric) if line.before else 0
    return found


def every_line(question: Question) -> Iterator[Line]:
    """Return all lines without names, the dearest first: what an export holds.

    Errors:  LookupError where no rollup answers the question.
    """
    source = questions.source_of(question)
    if source is None:
        raise LookupError("No rollup can answer this.")
    if is_sorted_there(question):
        return _streamed(source)
    found = sums.by_value(source)[0]
    return iter(_grouped(question, found, _total(source, found)))


def _streamed(source: Source) -> Iterator[Line]:
    """Yield very many lines as the database sorts them, and what they leave over."""
    rest = Line(ref=NOBODY)
    rest.add(getattr(_total(source, {}), name) for name in COLUMNS)
    for line in sums.sorted_lines(source):
        rest.add(-getattr(line, name) for name in COLUMNS)
        yield line
    if rest.attempts or rest.requests:
        yield rest


def add_names(question: Question, lines: Sequence[Line]) -> None:
    """Put on each line what people call its value; one query."""
    if question.by == TAG:
        return
    refs = [line.ref for line in lines if line.ref > 0]
    names = names_of(GROUPS[question.by], refs)
    for line in lines:
        if line.ref > 0:
            line.name = names.get(line.ref, str(line.ref))


# Lines and totals


def _lines(found: Answer, source: Source, page: int) -> tuple[list[Line], Line]:
    question, whole = found.question, _whole(source)
    is_read = is_sorted_there(question) or bool(source.column)
    wanted = [] if is_read else [source]
    if whole is not None:
        wanted.append(whole)
    earlier = [] if is_sorted_there(question) else [source]
    earlier += [whole] if whole is not None else []
    if question.is_compared:
        wanted += [each.in_period(source.period.before()) for each in earlier]
    results = sums.by_value(*wanted) if wanted else []
    if source.column:
        results.insert(0, _from_cells(found.cells))
    half = len(results) // 2 if question.is_compared else len(results)
    now, before = results[:half], results[half:]
    if is_sorted_there(question):
        return _sorted_there(question, source, page, now, before)
    total = _total(source, now[0], now[-1] if whole is not None else None)
    lines = _grouped(question, now[0], total)
    if before:
        then = before[-1] if whole is not None else None
        total.before = _total(source, before[0], then)
        by_ref = {
            line.ref: line for line in _grouped(question, before[0], total.before)
        }
        for line in lines:
            line.before = by_ref.get(line.ref, Line())
    return lines, total


def _from_cells(cells: Mapping[int, Sequence[Sequence[int]]]) -> dict[int, Line]:
    lines = {}
    for ref, steps in cells.items():
        line = lines[ref] = Line(ref=ref)
        line.add(map(sum, zip(*steps, strict=True)))
    return lines


def is_sorted_there(question: Question) -> bool:
    """Say whether the database sorts and cuts, for groups of very many values."""
    kind = GROUPS.get(question.by, "")
    return kind in rollups.DAY_ONLY and question.by not in question.filters


def _sorted_there(
    question: Question,
    source: Source,
    page: int,
    now: Sequence[Mapping[int, Line]],
    before: Sequence[Mapping[int, Line]],
) -> tuple[list[Line], Line]:
    lines = list(sums.sorted_lines(source, page * PAGE, (page + 1) * PAGE + 1))
    total = now[0].get(0, Line()) if now else Line()
    if before:
        total.before = before[0].get(0, Line())
        earlier = source.in_period(source.period.before())
        then = sums.by_value(earlier, refs=[line.ref for line in lines])[0]
        for line in lines:
            line.before = then.get(line.ref, Line())
    return lines, total


def _whole(source: Source) -> Source | None:
    """Return where the pool's own totals lie; None where the lines are all there is."""
    if not source.is_whole:
        return None
    return Source(rollups.TOTAL, source.period)


def _total(
    source: Source,
    lines: Mapping[int, Line],
    whole: Mapping[int, Line] | None = None,
) -> Line:
    if whole is None and source.is_whole:
        whole = sums.by_value(Source(rollups.TOTAL, source.period))[0]
    if whole is not None:
        return whole.get(0, Line())
    total = Line()
    for line in lines.values():
        total.add(getattr(line, name) for name in COLUMNS)
    return total


def _grouped(question: Question, found: Mapping[int, Line], total: Line) -> list[Line]:
    """Sort the lines, and add one for what carries no value."""
    lines = _by_tag(found) if question.by == TAG else list(found.values())
    if question.by in _PARTIAL and question.by not in question.filters:
        rest = _rest(found.values(), total)
        if question.by == TAG:
            rest = _untagged(found, rest)
        if rest.attempts or rest.requests:
            lines.append(rest)
    metric = "requests" if question.metric == "latency" else question.metric
    return sorted(
        lines, key=lambda line: (-line.value(metric), -line.requests, line.ref)
    )


def _rest(lines: Iterable[Line], total: Line) -> Line:
    """Return what is in the total and in no line."""
    rest = Line(ref=NOBODY)
    rest.add(getattr(total, name) for name in COLUMNS)
    for line in lines:
        rest.add(-getattr(line, name) for name in COLUMNS)
    return rest


def _by_tag(found: Mapping[int, Line]) -> list[Line]:
    """Add keys up by tag; a key with two tags counts in both."""
    lines: dict[str, Line] = {}
    for pk, tags in questions.tags_of_keys():
        for tag in set(tags) if pk in found else ():
            line = lines.setdefault(tag, Line(ref=len(lines) + 1, name=tag))
            line.add(getattr(found[pk], name) for name in COLUMNS)
    return list(lines.values())


def _untagged(found: Mapping[int, Line], rest: Line) -> Line:
    tagged = {pk for pk, tags in questions.tags_of_keys() if tags}
    for pk, line in found.items():
        if pk not in tagged:
            rest.add(getattr(line, name) for name in COLUMNS)
    return rest


# Over time


def _add_course(found: Answer) -> None:
    question, source = found.question, found.source
    if source is None:
        return
    wanted = METRIC_COLUMNS[question.metric]
    both = tuple(dict.fromkeys((*wanted, *TOKENS)))
    whole = _whole(source) or source
    shown = [line.ref for line in found.lines[:SERIES] if line.ref > 0]
    if source.column:
        places = [COLUMNS.index(name) for name in both]
        cells = {
            ref: [[row[place] for place in places] for row in rows]
            for ref, rows in found.cells.items()
        }
        courses = {ref: cells[ref] for ref in shown if ref in cells}
    else:
        cells = sums.by_step(whole, found.starts, both)
        courses = {}
        if shown and question.by != TAG:
            courses = sums.by_step(source, found.starts, wanted, refs=shown)
    steps = [
        [sum(column) for column in zip(*rows, strict=True)] or [0] * len(both)
        for rows in zip(*cells.values(), strict=True)
    ] or [[0] * len(both) for _ in found.starts]
    found.whole = [[row[both.index(name)] for name in TOKENS] for row in steps]
    count = len(wanted)
    found.course[0] = [sum(row[:count]) for row in steps]
    if question.by != TAG:
        found.course |= {
            ref: [sum(row[:count]) for row in rows] for ref, rows in courses.items()
        }


def _add_times(found: Answer) -> None:
    question, source = found.question, found.source
    if source is None:
        return
    if source.column:
        found.total.histogram = _times_of_filter(source)
        return
    refs = [line.ref for line in found.lines if line.ref > 0]
    if question.by == TAG:
        refs = list(source.refs or ())
    whole = _whole(source)
    wanted = [(source, refs)] if refs else []
    if whole is not None:
        wanted.append((whole, [0]))
    if not wanted:
        return
    times = sums.histograms(*wanted)
    if refs and question.by != TAG:
        for line in found.lines:
            line.histogram = times[0].get(line.ref, {})
    found.total.histogram = rollups.merged(times[-1].values())


def _times_of_filter(source: Source) -> dict[str, int]:
    """Return the times behind one filter; several together are not kept."""
    if len(source.cube) != 1:
        return {}
    ((column, refs),) = source.cube.items()
    alone = Source(questions.KIND_OF[column], source.period)
    return rollups.merged(sums.histograms((alone, refs))[0].values()) if refs else {}
