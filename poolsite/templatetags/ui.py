"""The console's template tags: ``{% load ui %}``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from poolsite import money as amounts
from poolsite.models import Job
from poolsite.ui import charts, numbers, pills, sse
from poolsite.ui.shell import url_or_empty

register = template.Library()

register.filter("count", numbers.exact_count)
register.filter("short", numbers.short_count)
register.filter("ms", numbers.duration_ms)
register.filter("span", numbers.span)
register.filter("bytes", numbers.data_size)
register.filter("middle", numbers.middle)
register.filter("initials", numbers.initials)
register.filter("usd", amounts.format_usd)
register.filter("price", amounts.format_price)


@register.filter
def share(part: float | None, whole: float | None) -> str:
    """Write ``part`` as a percentage of ``whole``."""
    return numbers.percent(part, whole)


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """Refer to one icon of the sprite; with a label it is read out, else it is not."""
    return _icon(static("icons.svg"), name, size, label)


@lru_cache(maxsize=512, typed=True)
def _icon(sprite: str, name: str, size: str, label: str) -> SafeString:
    """Write an icon; a page holds dozens of the same few."""
    spoken = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon{}" {}><use href="{}#{}"></use></svg>',
        f" icon-{size}" if size else "",
        spoken,
        sprite,
        name,
    )


@register.simple_tag
def unknown(why: str = "Not known") -> SafeString:
    """Show that something is not known, which is not zero."""
    return format_html(
        '<span class="unknown" title="{}">{}<span class="visually-hidden"> {}</span></span>',
        why,
        numbers.UNKNOWN,
        why,
    )


@register.simple_tag
def usd(nano: int | None, why: str = "Unpriced") -> SafeString:
    """Show nano-USD as dollars, every digit in the tooltip."""
    if nano is None:
        return unknown(why)
    exact = f"{amounts.usd_from_nano(nano):f}"
    return format_html(
        '<span class="num" title="{} USD">{}</span>', exact, amounts.format_usd(nano)
    )


@register.simple_tag
def price(nano_per_million: int | None) -> SafeString:
    """Show a price per million units."""
    if nano_per_million is None:
        return unknown("Unpriced")
    return format_html(
        '<span class="num">{}</span>', amounts.format_price(nano_per_million)
    )


@register.simple_tag
def tokens(number: int | None, why: str = "Not reported") -> SafeString:
    """Show a count shortened, in full in the tooltip."""
    if number is None:
        return unknown(why)
    return format_html(
        '<span class="num" title="{}">{}</span>',
        numbers.exact_count(number),
        numbers.short_count(number),
    )


@register.simple_tag
def left(
    value: Decimal | str | None, unit: str, why: str = "Not reported"
) -> SafeString:
    """Show what is left of an account, exactly in the tooltip."""
    if value in (None, ""):
        return unknown(why)
    return format_html(
        '<span class="num" title="{} {}">{}</span>',
        value,
        unit,
        numbers.left(value, unit),
    )


@register.simple_tag
def latency(milliseconds: float | None, why: str = "Not measured") -> SafeString:
    """Show a latency."""
    if milliseconds is None:
        return unknown(why)
    return format_html('<span class="num">{}</span>', numbers.duration_ms(milliseconds))


@register.simple_tag
def when(at: datetime | None, never: str = "Never") -> SafeString:
    """Show a moment: relative under 24 hours, then a date; both zones in the tooltip."""
    if at is None:
        return format_html('<span class="muted">{}</span>', never)
    now, zone = timezone.now(), timezone.get_current_timezone()
    recent = numbers.relative(at, now)
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(),
        numbers.both_zones(at, zone, UTC),
        mark_safe(" data-relative") if recent else "",
        recent or numbers.moment(at, zone, now),
    )


@register.simple_tag
def clock_time(at: datetime | None) -> SafeString:
    """Show a moment to the second, for logs where neighbours are compared."""
    if at is None:
        return unknown()
    zone = timezone.get_current_timezone()
    local, now = at.astimezone(zone), timezone.now().astimezone(zone)
    shown = f"{local:%H:%M:%S}"
    if local.date() != now.date():
        shown = f"{local.day} {local:%b} {shown}"
    return format_html(
        '<time class="num" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        numbers.both_zones(at, zone, UTC),
        shown,
    )


@register.simple_tag
def ident(
    text: Any, length: int = 16, copy: bool = False
) -> SafeString:  # a template writes copy=True
    """Show an id in mono, cut in the middle, in full in the tooltip."""
    full = str(text)
    return format_html(
        '<span class="ident" title="{}">{}{}</span>',
        full,
        numbers.middle(full, length),
        copy_button(full) if copy else "",
    )


@register.simple_tag
def copy_button(text: str = "", label: str = "Copy", source: str = "") -> SafeString:
    """Make a copy button for ``text``, or for the element ``source`` selects."""
    where = (
        format_html('data-copy="{}"', text)
        if text
        else format_html('data-copy-from="{}"', source)
    )
    return format_html(
        '<button type="button" class="copy js-only" {} aria-label="{}" title="{}">{}{}</button>',
        where,
        label,
        label,
        icon("copy"),
        icon("check"),
    )


@register.simple_tag
def pill(state: str, until: datetime | None = None, reason: str = "") -> SafeString:
    """Show a state as icon, word and colour, explained in the tooltip."""
    zone = timezone.get_current_timezone()
    local = until.astimezone(zone) if until else None
    made = pills.pill(str(state), until=local, reason=reason, now=timezone.now())
    detail = format_html(" <span>{}</span>", made.detail) if made.detail else ""
    return format_html(
        '<span class="pill{}" title="{}">{}{}{}</span>',
        f" pill-{made.tone}" if made.tone else "",
        made.title,
        icon(made.icon),
        made.word,
        detail,
    )


@register.simple_tag
def sparkline(
    values: Sequence[float | None],
    label: str,
    tone: str = "",
    width: int = 96,
    height: int = 24,
) -> SafeString:
    """Draw a small line chart; ``label`` is its sentence for those who cannot see it."""
    return charts.sparkline(values, label, width=width, height=height, tone=tone)


@register.simple_tag
def stacked_bar(
    parts: Sequence[charts.Part], label: str, height: int = 8
) -> SafeString:
    """Draw shares of a whole."""
    return charts.stacked_bar(parts, label, height=height)


@register.simple_tag
def bar(value: float, largest: float, tone: str = "1") -> SafeString:
    """Draw one bar of a bar table."""
    return charts.bar(value, largest, tone=tone)


@register.simple_tag
def legend(parts: Sequence[charts.Part]) -> SafeString:
    """List the parts of a chart with their colour and figure."""
    items = [
        format_html(
            '<li><svg class="swatch {}" aria-hidden="true"><rect width="8" height="8"/></svg>{} <b>{}</b></li>',
            part.fill,
            part.label,
            part.shown,
        )
        for part in parts
    ]
    return format_html('<ul class="legend">{}</ul>', mark_safe("".join(items)))  # noqa: S308 # escaped above


@register.simple_tag
def meter(
    value: float | None, limit: float | None, label: str = "", text: str = ""
) -> SafeString:
    """Show how much of a limit is used; the colour warns from 80 % on.

    Without a limit there is nothing to fill; without a value nothing is claimed.
    """
    if value is None or not limit:
        return unknown("No limit" if value is not None else "Not reported")
    used = value / limit
    tone = "error" if used >= 1 else "warn" if used >= 0.8 else "ok"
    return format_html(
        '<span class="meter meter-{}"><progress max="100" value="{}" aria-label="{}"></progress>'
        '<span class="num">{}</span></span>',
        tone,
        f"{min(100.0, 100 * used):.1f}",
        label or "Used",
        text or numbers.percent(used),
    )


@register.simple_tag
def delta(now: float | None, before: float | None, good: str = "up") -> SafeString:
    """Show the change against the previous period; ``good`` is up, down or none."""
    moved = numbers.change(now, before)
    if moved is None:
        return format_html(
            '<span class="muted" title="{}">{}</span>',
            "Nothing to compare with",
            numbers.UNKNOWN,
        )
    is_good = (moved > 0) == (good == "up")
    tone = (
        ""
        if not moved or good == "none"
        else (" delta-good" if is_good else " delta-bad")
    )
    arrow = icon("arrow-up" if moved > 0 else "arrow-down", "sm") if moved else ""
    return format_html(
        '<span class="delta{}">{}{}</span>', tone, arrow, numbers.percent(abs(moved))
    )


@register.simple_tag
def tile(name: str, size: str = "") -> SafeString:
    """Draw the initials of a provider on a coloured tile, always the same colour."""
    tone = sum(name.encode()) % 7 + 1
    return format_html(
        '<span class="tile{} t{}" aria-hidden="true">{}</span>',
        f" tile-{size}" if size else "",
        tone,
        numbers.initials(name),
    )


@register.simple_tag
def url_if(name: str, *args: Any) -> str:
    """Return a url, or nothing while that screen does not exist."""
    return url_or_empty(name, *args)


@register.simple_tag(takes_context=True)
def job_piece(context: template.Context, job: Job) -> SafeString:
    """Show how far a job is, with the very piece its live stream sends."""
    return mark_safe(sse.piece(context["request"], job))  # noqa: S308 # a rendered template


@register.inclusion_tag("ui/_confirm_link.html")
def confirm_link(
    url: str, label: str, css: str = "btn btn-danger", symbol: str = ""
) -> dict[str, str]:
    """Link to a confirm page that opens as a dialog where scripts run."""
    return {"url": url, "label": label, "css": css, "symbol": symbol}


@register.inclusion_tag("ui/_pager.html", takes_context=True)
def pager(context: template.Context, page: Any, target: str = "") -> dict[str, Any]:
    """Link to newer and older rows, keeping the filters of the url."""
    request = context["request"]
    links = {}
    for side, cursor in (("newer", page.newer), ("older", page.older)):
        query = request.GET.copy()
        query["cursor"] = cursor
        links[side] = f"?{query.urlencode()}" if cursor else ""
    first = request.GET.copy()
    is_first = not first.pop("cursor", None)
    return {
        "page": page,
        "newest": "" if is_first else f"?{first.urlencode()}",
        "target": target,
        **links,
    }


@register.simple_block_tag
def code(
    content: str, label: str = "", copy: bool = True
) -> SafeString:  # a template writes copy=False
    """Show a block of code with a copy button."""
    heading = format_html('<div class="code-label">{}</div>', label) if label else ""
    # The block is already escaped where it held variables; strip() forgets that.
    text = mark_safe(content.strip("\n"))  # noqa: S308
    return format_html(
        '<div class="code">{}<pre tabindex="0"><code>{}</code></pre>{}</div>',
        heading,
        text,
        copy_button(source="pre") if copy else "",
    )


@register.simple_block_tag
def empty(content: str, title: str, symbol: str = "inbox") -> SafeString:
    """Show what will appear here; the block holds the sentence and the actions."""
    return format_html(
        '<div class="empty">{}<h2>{}</h2>{}</div>', icon(symbol), title, content
    )


@register.simple_block_tag
def notice(content: str, tone: str = "info", title: str = "") -> SafeString:
    """Show a sentence that stays: ``tone`` is info, ok, warn or error."""
    symbols = {"ok": "circle-check", "warn": "triangle-alert", "error": "circle-x"}
    heading = format_html("<strong>{}</strong>", title) if title else ""
    return format_html(
        '<div class="notice notice-{}">{}<div>{}{}</div></div>',
        tone,
        icon(symbols.get(tone, "info")),
        heading,
        content,
    )


@register.simple_block_tag
def page_head(content: str, title: str, lead: str = "", badge: str = "") -> SafeString:
    """Open a page: its one h1, one line about it, and the actions in the block.

    ``badge`` is a pill to stand beside the title: ``{% pill state as badge %}``.
    """
    line = format_html("<p>{}</p>", lead) if lead else ""
    return format_html(
        '<div class="page-head"><div class="page-title"><h1>{} {}</h1>{}</div>'
        '<div class="actions">{}</div></div>',
        title,
        badge,
        line,
        content,
    )
