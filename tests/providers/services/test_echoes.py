"""A vendor that repeats the key it was sent does not make it readable here."""

from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command

from poolsite.actor import SYSTEM
from providers.services import account_status, discovery, trials, verification
from tests.factories import make_provider
from tests.vendors.server import Asked, Reply, Vendor

pytestmark = pytest.mark.django_db
KEY = "sk-very-secret-0123456789abcdef"
PATHS = (
    "GET /v1/models",
    "GET /v1/dashboard/billing/subscription",
    "GET /dashboard/billing/credit_grants",
    "POST /v1/chat/completions",
    "POST /v1/messages",
    "POST /v1/responses",
)


def echo(vendor: Vendor, status: int) -> None:
    def answer(sent: Asked) -> Reply:
        told = f"bad key {sent.headers.get('authorization')} {KEY}"
        body = {
            "data": [{"id": "m-1", "name": KEY}, {"id": KEY}],
            "error": {"message": told, "code": KEY, "type": KEY},
            "total_available": 1,
            "plan": KEY,
        }
        return Reply(body, status=status)

    for path in PATHS:
        method, _, place = path.partition(" ")
        vendor.on(method, place, answer)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_key_a_vendor_repeats_is_kept_and_shown_nowhere(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Vendor() as vendor:
        echo(vendor, status)
        provider = make_provider(
            "acme", base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY]
        )
        discovery.refresh(provider)
        discovery.apply(SYSTEM, provider)
        told = repr(trials.try_stored(SYSTEM, provider, may_move=True))
        told += repr(verification.verify_provider(provider))
        account_status.refresh(provider)
        assert any(KEY in each.headers["authorization"] for each in vendor.asked)
    shown = StringIO()
    call_command("provider", "show", "acme", "--json", stdout=shown)
    call_command("export", stdout=shown)
    assert KEY not in told + shown.getvalue() + caplog.text
    for model in apps.get_models():
        assert KEY not in repr(list(model._default_manager.values()))
