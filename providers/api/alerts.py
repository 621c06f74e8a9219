"""Alerts, the channels that are told of them, and what was sent."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import Field

from poolsite.delivery import selectors, services
from poolsite.delivery.messages import alert_data
from poolsite.delivery.rows import AlertChannel
from poolsite.models import Alert
from providers.api.auth import actor_of, require_owner
from providers.api.schemas import Strict

router = Router(tags=["alerts"])


class ChannelValues(Strict):
    """Values of a channel; what is absent stays. URL and secret are write-only."""

    name: str | None = Field(None, max_length=80)
    url: str | None = Field(None, max_length=2_000)
    secret: str | None = Field(None, max_length=200)
    addresses: list[str] | None = Field(None, max_length=services.MOST_ADDRESSES)
    events: list[str] | None = Field(None, max_length=100)
    least_severity: Literal["info", "warning", "error"] | None = None
    digest_s: int | None = Field(None, ge=0, le=services.LONGEST_DIGEST_S)


class ChannelCreate(ChannelValues):
    """A new channel."""

    kind: Literal["webhook", "mail"]


@router.get("/alerts")
def list_alerts(request: HttpRequest, resolved: bool = False) -> list[dict[str, Any]]:
    """List open alerts, worst first, or the last ones that ended."""
    return selectors.alert_table(resolved=resolved)


@router.post("/alerts/{int:alert_id}/resolve")
def resolve_alert(request: HttpRequest, alert_id: int) -> dict[str, Any]:
    """Close an alert; what is still wrong raises it anew."""
    alert = get_object_or_404(Alert, pk=alert_id)
    services.resolve_alert(actor_of(request), alert)
    return alert_data(Alert.objects.get(pk=alert_id))


@router.post("/alerts/{int:alert_id}/acknowledge")
def acknowledge_alert(request: HttpRequest, alert_id: int) -> dict[str, Any]:
    """Note that somebody has seen an alert."""
    alert = get_object_or_404(Alert, pk=alert_id)
    services.acknowledge_alert(actor_of(request), alert)
    return alert_data(Alert.objects.get(pk=alert_id))


@router.get("/alert-channels")
def list_channels(request: HttpRequest) -> list[dict[str, Any]]:
    """List the channels; of a webhook's URL only the origin."""
    return [selectors.channel_data(row) for row in selectors.channels()]


@router.post("/alert-channels", response={201: dict[str, Any]})
def create_channel(request: HttpRequest, data: ChannelCreate) -> Status[dict[str, Any]]:
    """Add a channel; a webhook's signing secret is in this answer only."""
    require_owner(request)
    values = data.model_dump(exclude={"kind"})
    row, secret = services.create_channel(
        actor_of(request), data.kind, services.Terms(**values)
    )
    shown = selectors.channel_data(row)
    return Status(201, {**shown, "secret": secret} if secret else shown)


@router.patch("/alert-channels/{int:channel_id}")
def change_channel(
    request: HttpRequest, channel_id: int, data: ChannelValues
) -> dict[str, Any]:
    """Change a channel."""
    require_owner(request)
    terms = services.Terms(**data.model_dump())
    row = services.change_channel(actor_of(request), _channel(channel_id), terms)
    return selectors.channel_data(row)


@router.delete("/alert-channels/{int:channel_id}", response={204: None})
def remove_channel(request: HttpRequest, channel_id: int) -> Status[None]:
    """Remove a channel with what waits for it."""
    require_owner(request)
    services.remove_channel(actor_of(request), _channel(channel_id))
    return Status(204, None)


@router.post("/alert-channels/{int:channel_id}/enable", response={204: None})
def enable_channel(request: HttpRequest, channel_id: int) -> Status[None]:
    """Switch a channel on."""
    return _switch(request, channel_id, enabled=True)


@router.post("/alert-channels/{int:channel_id}/disable", response={204: None})
def disable_channel(request: HttpRequest, channel_id: int) -> Status[None]:
    """Switch a channel off; what waits for it is forgotten."""
    return _switch(request, channel_id, enabled=False)


@router.post("/alert-channels/{int:channel_id}/secret")
def rotate_secret(request: HttpRequest, channel_id: int) -> dict[str, str]:
    """Give a webhook a new signing secret; it is in this answer only."""
    require_owner(request)
    row = _channel(channel_id)
    return {"secret": services.rotate_secret(actor_of(request), row)}


@router.post("/alert-channels/{int:channel_id}/test")
def test_channel(request: HttpRequest, channel_id: int) -> dict[str, Any]:
    """Send a test through the real path; returns how it ended."""
    require_owner(request)
    sent = services.send_test(actor_of(request), _channel(channel_id))
    return selectors.delivery_data(sent)


@router.get("/alert-deliveries")
def list_deliveries(request: HttpRequest) -> list[dict[str, Any]]:
    """List the newest messages and how they fared."""
    return [selectors.delivery_data(row) for row in selectors.deliveries()]


@router.post("/alert-deliveries/send")
def send_now(request: HttpRequest) -> dict[str, int]:
    """Send what waits without waiting; returns how many messages arrived."""
    return {"delivered": services.send_now(actor_of(request))}


def _switch(request: HttpRequest, channel_id: int, *, enabled: bool) -> Status[None]:
    require_owner(request)
    row = _channel(channel_id)
    services.set_channel_enabled(actor_of(request), row, enabled=enabled)
    return Status(204, None)


def _channel(channel_id: int) -> AlertChannel:
    return get_object_or_404(AlertChannel, pk=channel_id)
