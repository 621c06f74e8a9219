"""What a person says of one model: its deadline, its limits, its name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from providers.models import ProviderModel
from providers.snapshot import types
from providers.snapshot.build import build_base
from tests.factories import make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def model() -> ProviderModel:
    provider = make_provider("acme", models=["vendor/slow"], keys=["sk-acme-1"])
    return provider.models.get()


def test_a_models_deadline_reaches_the_data_plane(
    as_oskar: Client, model: ProviderModel
) -> None:
    url = f"/providers/acme/models/{model.pk}/settings/"
    assert url in as_oskar.get("/models/detail/?id=vendor/slow").content.decode()
    assert as_oskar.get(url).status_code == 200
    sent = {"timeout_s": "45", "display_name": "<b>Slow</b>"}
    assert as_oskar.post(url, sent).status_code == 302
    model.refresh_from_db()
    assert (model.timeout_s, model.by_hand) == (45, ["display_name"])
    records = build_base(datetime.now(UTC)).records
    [record] = [each for kind, _, each in records if kind == types.MODEL]
    assert record.timeout_s == 45
    assert as_oskar.post(url, {"timeout_s": ""}).status_code == 302
    model.refresh_from_db()
    assert model.timeout_s is None


@pytest.mark.parametrize("wrong", ["0", "-1", "86401", "x", "99999999999999999999"])
def test_a_deadline_that_is_none_is_refused(
    as_oskar: Client, model: ProviderModel, wrong: str
) -> None:
    url = f"/providers/acme/models/{model.pk}/settings/"
    assert as_oskar.post(url, {"timeout_s": wrong}).status_code == 422
    model.refresh_from_db()
    assert model.timeout_s is None


def test_viewers_set_nothing(as_viktor: Client, model: ProviderModel) -> None:
    url = f"/providers/acme/models/{model.pk}/settings/"
    assert as_viktor.get(url).status_code == 403
    assert as_viktor.post(url, {"timeout_s": "5"}).status_code == 403
