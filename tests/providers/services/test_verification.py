"""Testing, verifying and moving stored providers, and what is kept of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from msgspec.structs import replace

from oauth import services as accounts
from poolsite import secrets
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from poolsite.models import AuditEvent
from providers.discovery.once import Flights, key_of
from providers.models import ApiKey, Fact, Provider
from providers.services import onboard, providers, trials, verification
from providers.services.errors import ServiceError
from providers.snapshot import records
from providers.snapshot.speech import effective_base_url
from tests import factories
from tests.vendors import verify as shapes
from tests.vendors.server import Asked, Reply, Vendor
from tests.vendors.verify import CHAT, KEY

pytestmark = pytest.mark.django_db


def make(vendor: Vendor, **values: Any) -> Provider:
    known = {"base_url": f"{vendor.root}/v1", "allow_private": True, "keys": [KEY]}
    return factories.make_provider(**{**known, **values})


def private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every loopback address be reached, as the owner of a machine may."""
    open_ = replace(settings.CONFIG, allow_private=("127.0.0.0/8",))
    monkeypatch.setattr(settings, "CONFIG", open_)


def with_alternates(provider: Provider, *urls: str) -> Provider:
    provider.alternate_base_urls = list(urls)
    provider.save(update_fields=["alternate_base_urls"])
    return provider


# The staged test of a stored provider


def test_stored_provider_is_tested_without_paying() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        result = trials.try_stored(CLI, make(vendor))
        assert vendor.paths() == ["GET /v1/models"]
    assert result.ok
    assert [each.outcome for each in result.stages[3:]] == ["skipped"] * 3
    assert AuditEvent.objects.filter(action="provider.test").count() == 1


def test_paid_steps_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Vendor() as vendor, Vendor() as proxy:
        shapes.openai_shaped(vendor)
        proxy.on("POST", CHAT, shapes.chat_answer)
        host, _, port = proxy.root.removeprefix("http://").partition(":")
        own = replace(settings.CONFIG, host=host, port=int(port))
        monkeypatch.setattr(settings, "CONFIG", own)
        provider = make(vendor, models=["big-pro", "small-mini"])
        result = trials.try_stored(CLI, provider, with_call=True)
        calls = proxy.asked
    assert {each.outcome for each in result.stages} == {"ok"}
    assert len(calls) == 3
    assert all(KEY not in call.headers["authorization"] for call in calls)
    assert {call.json()["model"] for call in calls} == {"small-mini"}


def test_paid_steps_need_a_model_in_the_pool() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        result = trials.try_stored(CLI, make(vendor), with_call=True)
    assert result.ok
    assert "no such model" in result.stages[-1].text


def test_signed_in_account_is_tried_by_a_call_only() -> None:
    with Vendor() as vendor:
        provider = make(vendor, keys=[])
        place = accounts.Place(provider.slug, vendor.root)
        accounts.create_static_account(CLI, place, token="token-" + "t" * 30)
        result = trials.try_stored(CLI, provider)
        assert vendor.asked == []
    assert result.is_untestable


# Alternates


def test_refused_key_moves_to_a_listed_address_and_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    private_network(monkeypatch)
    with Vendor() as vendor, Vendor() as other:
        vendor.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        shapes.openai_shaped(other)
        second = "sk-second-0123456789"
        provider = make(vendor, keys=[KEY, second])
        with_alternates(provider, f"{other.root}/v1")
        result = trials.try_stored(CLI, provider)
    assert result.ok
    provider.refresh_from_db()
    assert provider.detected_base_url == f"{other.root}/v1"
    assert effective_base_url(provider) == f"{other.root}/v1"
    key = provider.api_keys.get(mask__endswith=KEY[-4:])
    assert (key.state, key.origin) == (ApiKey.State.OK, other.root)
    assert secrets.open_for(key, "secret").reveal() == KEY
    parked = provider.api_keys.exclude(pk=key.pk).get()
    assert parked.state == ApiKey.State.ORIGIN_CHANGED
    record = records.provider_record(provider, [key, parked], [])
    assert record is not None
    assert record.base_url == f"{other.root}/v1"
    assert [each.id for each in record.credentials] == [key.pk]
    event = AuditEvent.objects.get(action="provider.endpoint_moved")
    assert KEY not in str(event.after)


def test_stored_key_goes_to_no_address_nobody_listed() -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        provider = make(vendor)
        result = trials.try_stored(CLI, provider, may_move=True)
        assert len(vendor.asked) == 1
    assert not result.ok
    assert trials.allowed_alternates(provider, may_move=True) == []


def test_twin_sites_need_a_person() -> None:
    provider = factories.make_provider(base_url="https://api.moonshot.cn/v1")
    assert trials.allowed_alternates(provider, may_move=False) == []
    assert trials.allowed_alternates(provider, may_move=True) == [
        "https://api.moonshot.ai/v1"
    ]


def test_provider_on_an_alternate_is_not_moved_again() -> None:
    provider = factories.make_provider(base_url="https://api.moonshot.cn/v1")
    provider.detected_base_url = "https://api.moonshot.ai/v1"
    assert trials.allowed_alternates(provider, may_move=True) == []


def test_new_base_url_forgets_what_was_detected() -> None:
    provider = factories.make_provider()
    Provider.objects.update(
        detected_base_url="https://b.example/v1", detected_format="responses"
    )
    url = "https://c.example/v1"
    changed = providers.update_provider(CLI, provider, base_url=url)
    assert (changed.detected_base_url, changed.detected_format) == ("", "")
    assert effective_base_url(changed) == url


# Verification and applying it


def test_verification_is_previewed_then_applied() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        provider = make(vendor, base_url=vendor.root)
        found = verification.verify_provider(provider)
        kept = verification.last_verification(provider)
        assert kept is not None
        names = {each.name for each in verification.preview(provider, kept)}
        assert names == {"api_format", "format_mode", "base_url", "detected_format"}
        provider.refresh_from_db()
        assert provider.api_format == "openai"
        changes = verification.apply_verification(CLI, provider)
    assert found.recommended_api_format == "anthropic"
    assert {each.name for each in changes} == names
    provider.refresh_from_db()
    assert provider.api_format == "anthropic"
    assert provider.base_url == f"{vendor.root}/v1"
    assert provider.format_mode == "pinned"
    record = records.provider_record(provider, [], [])
    assert record is not None
    assert record.format == "anthropic"
    assert verification.apply_verification(CLI, provider) == []
    event = AuditEvent.objects.get(action="provider.verify_apply")
    assert "openai" in str(event.before)
    assert "anthropic" in str(event.after)


def test_what_was_verified_is_forgotten_after_a_day() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        provider = make(vendor)
        verification.verify_provider(provider)
    later = ManualClock(Fact.objects.get(kind="verification").at + timedelta(hours=25))
    assert verification.last_verification(provider, clock=later) is None
    with pytest.raises(ServiceError, match="verify it first"):
        verification.apply_verification(CLI, provider, clock=later)


def test_catalogue_provider_keeps_what_the_catalogue_says() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        provider = make(vendor, catalogue_id="openai")
        verification.verify_provider(provider)
        assert verification.apply_verification(CLI, provider) == []


def test_kept_verification_holds_no_secret() -> None:
    with Vendor() as vendor:
        vendor.on("POST", CHAT, shapes.openai_error(401, f"bad key {KEY}"))
        verification.verify_provider(make(vendor))
    assert KEY not in str(Fact.objects.get(kind="verification").payload)


def test_verification_without_a_key_is_refused() -> None:
    with pytest.raises(ServiceError, match="no usable key"):
        verification.verify_provider(factories.make_provider())


# Before saving


def test_format_is_found_out_and_saved() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        new = onboard.NewProvider(
            "found",
            values={
                "base_url": f"{vendor.root}/v1/messages",
                "api_format": onboard.FIND_OUT,
                "allow_private": True,
            },
            secrets=[KEY],
        )
        result = onboard.try_new(new)
        provider = onboard.save_new(CLI, new, result)
    assert result.ok
    words = " ".join(stage.text for stage in result.stages)
    assert "/messages was cut off" in words
    assert "speaks anthropic" in words
    assert provider.api_format == provider.detected_format == "anthropic"
    assert provider.base_url == f"{vendor.root}/v1"
    assert provider.models.count() == 2


@pytest.mark.parametrize("count", [1, 3])
def test_trial_says_that_further_keys_were_not_tried(count: int) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        values = {"base_url": f"{vendor.root}/v1", "allow_private": True}
        keys = [KEY, "sk-second-0123456789", "sk-third-0123456789"][:count]
        result = onboard.try_new(
            onboard.NewProvider("many", values=values, secrets=keys)
        )
        tried = {each.headers["authorization"] for each in vendor.asked}
    assert result.ok
    assert tried == {f"Bearer {keys[0]}"}
    words = [stage.text for stage in result.stages if stage.name == "other keys"]
    assert words == (["Only the first of 3 keys was tried."] if count == 3 else [])


def test_refused_new_key_is_saved_at_the_listed_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Vendor() as vendor, Vendor() as other:
        vendor.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        shapes.openai_shaped(other)
        urls = [f"{other.root}/v1"]
        monkeypatch.setattr(providers, "_listed_alternates", lambda *_: urls)
        new = onboard.NewProvider(
            "twin",
            catalogue_id="openai",
            values={"base_url": f"{vendor.root}/v1", "allow_private": True},
            secrets=[KEY],
        )
        result = onboard.try_new(new)
        assert other.asked == []  # it is private, and not the address that is allowed
    assert not result.ok
    private_network(monkeypatch)
    with Vendor() as vendor, Vendor() as other:
        vendor.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        shapes.openai_shaped(other)
        urls[0] = f"{other.root}/v1"
        new.values["base_url"] = f"{vendor.root}/v1"
        result = onboard.try_new(new)
        provider = onboard.save_new(CLI, new, result)
        key = provider.api_keys.get()
    assert result.ok
    assert provider.detected_base_url == urls[0]
    assert key.origin == other.root


def test_nothing_found_says_so() -> None:
    with Vendor() as vendor:
        new = onboard.NewProvider(
            "none",
            values={
                "base_url": vendor.root,
                "api_format": onboard.FIND_OUT,
                "allow_private": True,
            },
            secrets=[KEY],
        )
        result = onboard.try_new(new)
    assert result.verdict["stage"] == "format"


# Single flight


def test_two_clicks_are_one_run() -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(asked: Asked) -> Reply:
        begun.set()
        go.wait(5)
        return Reply(shapes.openai_models("m"))

    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", slow)
        values = {"base_url": f"{vendor.root}/v1", "allow_private": True}
        found: list[bool] = []

        def click() -> None:
            new = onboard.NewProvider("x", values=dict(values), secrets=[KEY])
            found.append(onboard.try_new(new).ok)

        threads = [threading.Thread(target=click) for _ in range(2)]
        threads[0].start()
        assert begun.wait(5)
        threads[1].start()
        threads[1].join(0.05)
        go.set()
        for thread in threads:
            thread.join(5)
        assert len(vendor.asked) == 1
    assert found == [True, True]


def test_flight_ends_for_everyone_when_the_work_fails() -> None:
    flights: Flights[int] = Flights()

    def fail() -> int:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            flights.run("a", fail)
    assert flights.run("a", lambda: 5) == 5
    assert KEY not in key_of(KEY)
