"""Screens of alerts: what is open, what was, and where it is sent."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite.accounts import OPERATOR, OWNER
from poolsite.alert_forms import FORMS, ChannelForm
from poolsite.delivery import channels, selectors, services
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.models import Alert
from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved, show_once
from poolsite.views import actor_of

_FORM = require_http_methods(["GET", "POST"])
_HOME: Final = "ground:alerts"


@require_GET
def alert_page(request: HttpRequest) -> HttpResponse:
    """Show open alerts, channels and the newest messages; five queries."""
    context = {
        "open": selectors.open_now(),
        "history": selectors.history(),
        "channels": list(selectors.channels()),
        "deliveries": selectors.deliveries(),
        "has_mail": channels.has_mail(),
    }
    return render(
        request,
        "poolsite/alerts/page.html",
        context,
        piece="poolsite/alerts/_live.html",
    )


@require_POST
@access.require_role(OPERATOR)
def alert_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an alert by hand."""
    alert = access.find(Alert, "alert", pk=pk)
    if not services.resolve_alert(actor_of(request), alert):
        return refused(request, _HOME, "It was over already.")
    return saved(request, _HOME, "It is closed. What is still wrong raises it again.")


@require_POST
@access.require_role(OPERATOR)
def alert_acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that somebody has seen an alert."""
    alert = access.find(Alert, "alert", pk=pk)
    if not services.acknowledge_alert(actor_of(request), alert):
        return refused(request, _HOME, "Somebody has seen it, or it is over.")
    return saved(request, _HOME, "Noted; it stays until it is over.")


@_FORM
@access.require_role(OWNER)
def channel_add(request: HttpRequest, kind: str) -> HttpResponse:
    """Add a webhook or mail channel; a webhook's secret is shown once."""
    if kind not in FORMS:
        raise Http404
    form = FORMS[kind](request.POST or None)
    if form.is_valid():
        actor = actor_of(request)
        try:
            row, secret = services.create_channel(actor, kind, form.terms())
        except services.ChannelError as exc:
            _blame(form, exc)
        else:
            if secret and not form.cleaned_data.get("secret"):
                return _shown_once(request, row, secret)
            return saved(request, _HOME, f"{row.name} was added; send it a test.")
    context = {"form": form, "kind": kind, "has_mail": channels.has_mail()}
    return render(request, "poolsite/alerts/channel.html", context)


@_FORM
@access.require_role(OWNER)
def channel_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a channel."""
    row = access.find(AlertChannel, "channel", pk=pk)
    form = FORMS[row.kind](request.POST or None, channel=row)
    if form.is_valid():
        try:
            services.change_channel(actor_of(request), row, form.terms())
        except services.ChannelError as exc:
            _blame(form, exc)
        else:
            return saved(request, _HOME, f"{row.name} was saved.")
    context = {
        "form": form,
        "kind": row.kind,
        "channel": row,
        "has_mail": channels.has_mail(),
    }
    return render(request, "poolsite/alerts/channel.html", context)


@require_POST
@access.require_role(OWNER)
def channel_switch(request: HttpRequest, pk: int, switch: str) -> HttpResponse:
    """Switch a channel on or off."""
    row = access.find(AlertChannel, "channel", pk=pk)
    enabled = switch == "enable"
    services.set_channel_enabled(actor_of(request), row, enabled=enabled)
    return saved(request, _HOME, f"{row.name} is {'on' if enabled else 'off'}.")


@_FORM
@access.require_role(OWNER)
def channel_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a channel after a question."""
    row = access.find(AlertChannel, "channel", pk=pk)
    question = Confirmation(
        title=f"Remove {row.name}?",
        verb="Remove channel",
        back=reverse(_HOME),
        text="What waits for it and the list of what it was sent go with it.",
    )
    if request.method == "GET":
        return confirm(request, question)
    services.remove_channel(actor_of(request), row)
    return saved(request, _HOME, f"{row.name} was removed.")


@require_POST
@access.require_role(OWNER)
def channel_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a webhook a new signing secret and show it, once."""
    row = access.find(AlertChannel, "channel", pk=pk)
    try:
        secret = services.rotate_secret(actor_of(request), row)
    except services.ChannelError as exc:
        return refused(request, _HOME, str(exc))
    return _shown_once(request, row, secret)


@require_POST
@access.require_role(OWNER)
def channel_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test through the real path and say how it ended."""
    row = access.find(AlertChannel, "channel", pk=pk)
    sent = services.send_test(actor_of(request), row)
    if sent.state == AlertDelivery.State.DELIVERED:
        return saved(request, _HOME, f"The test arrived at {row.name}.")
    return refused(
        request, _HOME, f"The test did not reach {row.name}. {sent.last_error}"
    )


@require_POST
@access.require_role(OPERATOR)
def send_now(request: HttpRequest) -> HttpResponse:
    """Send what waits without waiting."""
    count = services.send_now(actor_of(request))
    return saved(request, _HOME, f"{count} message{'s' * (count != 1)} sent.")


def _blame(form: ChannelForm, exc: services.ChannelError) -> None:
    form.add_error(exc.field if exc.field in form.fields else None, str(exc))


def _shown_once(request: HttpRequest, row: AlertChannel, secret: str) -> HttpResponse:
    context = {"channel": row, "secret": secret}
    return show_once(request, "poolsite/alerts/secret.html", context)
