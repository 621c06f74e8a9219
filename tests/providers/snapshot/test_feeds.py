"""What a public source says reaches the data plane, and leaves it when cleared."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from django.utils import timezone

from poolsite import version
from poolsite.actor import SYSTEM
from poolsite.clock import SystemClock
from pricing.cost import PriceSpec
from pricing.feeds import services
from pricing.feeds.refresh import refresh
from pricing.models import Feed
from pricing.services import set_price
from providers.snapshot import build, types
from tests.factories import make_provider
from tests.vendors import feeds
from tests.vendors.server import Vendor

pytestmark = pytest.mark.django_db
MODEL = "m-7"


def read(document: Any, settings: Any) -> None:
    """Let the LiteLLM price file say this."""
    with Vendor() as vendor:
        vendor.on("GET", "/l", document)
        allowed = (urlsplit(vendor.root).netloc,)
        settings.CONFIG = msgspec.structs.replace(
            settings.CONFIG, allow_private=allowed
        )
        Feed.objects.update_or_create(
            name="litellm", defaults={"url": f"{vendor.root}/l"}
        )
        assert refresh("litellm", clock=SystemClock()).state == "applied"


def changed_price(since: int) -> Any:
    """Return what a delta says of the model's price: input, or its absence."""
    built = build.build_delta(since, timezone.now())
    assert built is not None
    [model] = [found for kind, _key, found in built.records if kind == types.MODEL]
    return model.price.input if model.price else None


def test_price_of_a_source_is_in_the_next_delta(settings: Any) -> None:
    make_provider("openai", catalogue_id="openai", models=[MODEL], keys=["sk-a"])
    since = version.current()
    read(feeds.litellm(), settings)
    assert changed_price(since) == 1_000_000_000
    since = version.current()
    services.clear_feed(SYSTEM, "litellm")
    assert changed_price(since) is None


def test_price_a_person_set_wins_over_every_source(settings: Any) -> None:
    make_provider("openai", catalogue_id="openai", models=[MODEL], keys=["sk-a"])
    set_price(SYSTEM, MODEL, PriceSpec(input=7, output=8))
    since = version.current()
    read(feeds.litellm(), settings)
    assert changed_price(since) == 7
