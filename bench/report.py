"""Turn figures into one table and a list of budgets kept or missed."""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan_cost import LARGE, LIMIT_US, MOST_GROWTH, SMALL, PlanCost
from bench.profiles import Figures
from bench.tools import commit, machine

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Budget:
    """One line of the budgets: what was allowed, what was measured."""

    name: str
    limit: str
    measured: str
    is_kept: bool


def table(found: dict[str, Figures], *, floor: str, base: str) -> str:
    """Return the comparison in Markdown.

    Shapes: shares are of the gateway named floor, added latency is over base.
    """
    head = [
        "Gateway",
        "JSON req/s",
        "of floor",
        "Streams/s (100 events)",
        "of floor",
        "Added p50",
        "Added p99",
        "Memory",
    ]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for figures in found.values():
        rows.append(_row(figures, found[floor], found[base]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def budgets(pool: Figures, *, floor: Figures, base: Figures) -> list[Budget]:
    """Return the budgets of design 8 that this run measured."""
    lines = [
        _share("JSON, everything on", pool.json_median / floor.json_median, 0.55),
        _share(
            "passthrough streams of 100 events",
            pool.stream_median / floor.stream_median,
            0.45,
        ),
    ]
    for pair, rate in pool.translated.items():
        share = rate / floor.stream_median
        lines.append(_share(f"translated streams, {pair}", share, 0.10))
    for name, p50, p99 in (
        ("", pool.p50_us, pool.p99_us),
        (", console user reloading", pool.p50_console_us, pool.p99_console_us),
    ):
        if p50 is None or p99 is None or base.p50_us is None or base.p99_us is None:
            continue
        lines.append(_under(f"added p50{name}", (p50 - base.p50_us) / 1e3, 1, "ms"))
        lines.append(_under(f"added p99{name}", (p99 - base.p99_us) / 1e3, 5, "ms"))
    if pool.rss_end is not None:
        lines.append(_under("data process", pool.rss_end / MEGABYTE, 90, "MB"))
    if pool.rss_stream is not None:
        lines.append(_under("open stream", pool.rss_stream / 1e3, 150, "KB"))
    if pool.rss_total is not None:
        lines.append(_under("whole product", pool.rss_total / MEGABYTE, 450, "MB"))
    if pool.plan is not None:
        lines += _plan_lines(pool.plan)
    return lines


def _plan_lines(plan: PlanCost) -> list[Budget]:
    providers = f"{LARGE:,} providers, half cooling"
    growth = 100 * plan.growth
    return [
        _under(f"first candidate, {providers}", plan.large_us, LIMIT_US, "us"),
        _under(f"growth over {SMALL} providers", growth, 100 * MOST_GROWTH, "%"),
    ]


def render(
    found: dict[str, Figures], *, date: str, rate: float | None, notes: list[str]
) -> str:
    """Return the whole page."""
    names = list(found)
    floor = next(name for name in names if "floor" in name)
    pool = found.get("Provider Pool")
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Proxy on one core, load and upstream on the other,"
        " 64 clients, one run, median of three rounds; ratios matter, not digits.",
        "",
        f"Machine: {machine()}. Commit {commit()}, {date}.",
        "",
        table(found, floor=floor, base=names[0]),
        "",
    ]
    if rate is not None:
        lines += [
            f"Added latency: open loop, Poisson arrivals at {rate:,.0f} req/s (half of"
            f" the product's own peak), over `{names[0]}` at the same rate.",
            "",
        ]
    if pool is not None:
        lines += _pool_lines(pool, found[floor], found[names[0]])
    lines += notes
    return "\n".join(lines).rstrip() + "\n"


def _pool_lines(pool: Figures, floor: Figures, base: Figures) -> list[str]:
    lines = ["| Budget | Limit | Measured | |", "|---|---:|---:|---|"]
    for budget in budgets(pool, floor=floor, base=base):
        verdict = "kept" if budget.is_kept else "MISSED"
        lines.append(
            f"| {budget.name} | {budget.limit} | {budget.measured} | {verdict} |"
        )
    lines.append("")
    if pool.beside:
        told = ", ".join(f"{k} {v:.0%}" for k, v in pool.beside.items())
        lines += [f"Beside it, processor share during the JSON peak: {told}.", ""]
    if pool.rss_start is not None and pool.rss_end is not None:
        lines += [
            f"Data process: {pool.rss_start / MEGABYTE:.0f} MB after the warm-up,"
            f" {pool.rss_end / MEGABYTE:.0f} MB after {pool.requests:,} requests.",
            "",
        ]
    return lines


def _row(figures: Figures, floor: Figures, base: Figures) -> list[str]:
    return [
        figures.name,
        f"{figures.json_median:,.0f}",
        f"{figures.json_median / floor.json_median:.0%}",
        f"{figures.stream_median:,.0f}",
        f"{figures.stream_median / floor.stream_median:.0%}",
        _added(figures.p50_us, base.p50_us),
        _added(figures.p99_us, base.p99_us),
        f"{figures.rss_start / MEGABYTE:.0f} MB" if figures.rss_start else "",
    ]


def _added(value: float | None, base: float | None) -> str:
    if value is None or base is None:
        return ""
    return f"{(value - base) / 1e3:.2f} ms"


def _share(name: str, share: float, least: float) -> Budget:
    return Budget(
        f"{name}, share of the floor",
        f"at least {least:.0%}",
        f"{share:.0%}",
        share >= least,
    )


def _under(name: str, value: float, limit: float, unit: str) -> Budget:
    told = f"{value:.2f} {unit}" if unit == "ms" else f"{value:.0f} {unit}"
    return Budget(name, f"under {limit} {unit}", told, value < limit)
