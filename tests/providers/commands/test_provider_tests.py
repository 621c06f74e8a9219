"""``pool provider test``, ``verify`` and what ``add`` says of an address."""

from __future__ import annotations

import pytest

from providers.models import Provider
from tests import factories
from tests.providers.commands.conftest import Pool
from tests.vendors import verify as shapes
from tests.vendors.server import Vendor
from tests.vendors.verify import KEY

pytestmark = pytest.mark.django_db


def test_verify_previews_and_applies(pool: Pool) -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        factories.make_provider(
            base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY]
        )
        out = pool.ok("provider", "verify", "acme").out
        assert "messages: there (200)" in out
        assert "Wire format: openai -> anthropic" in out
        assert Provider.objects.get().api_format == "openai"
        assert "Applied." in pool.ok("provider", "verify", "acme", "--apply").out
        data = pool.ok("provider", "verify", "acme", "--json").json
    assert Provider.objects.get().api_format == "anthropic"
    assert data["changes"] == []
    assert KEY not in out


def test_verify_of_nothing_is_exit_1(pool: Pool) -> None:
    with Vendor() as vendor:
        factories.make_provider(base_url=vendor.root, allow_private=True, keys=[KEY])
        ran = pool("provider", "verify", "acme")
    assert ran.status == 1
    assert "known wire format" in ran.err


def test_add_warns_about_a_private_address_and_cuts_an_endpoint(pool: Pool) -> None:
    url = "http://127.0.0.1:9/v1/chat/completions"
    ran = pool("provider", "add", "near", "--base-url", url)
    assert ran.status == 0
    assert "--allow-private" in ran.err
    assert "was cut off" in ran.err
    assert Provider.objects.get().base_url == "http://127.0.0.1:9/v1"
    quiet = pool.ok("provider", "add", "far", "--base-url", "https://a.example/v1")
    assert quiet.err == ""
    allowed = pool.ok(
        "provider", "add", "own", "--base-url", "http://10.0.0.1/v1", "--allow-private"
    )
    assert allowed.err == ""
