"""Cooldowns and health through the admin API."""

from __future__ import annotations

import pytest

from tests.factories import make_provider
from tests.providers.api.conftest import Api
from tests.providers.cooling import cool, key_subject

pytestmark = pytest.mark.django_db


def test_cooldowns_are_listed_and_cleared(owner: Api) -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-acme-0000000001"])
    subject = key_subject(acme.api_keys.get())
    cool(subject, "quota")
    cool(f"account:{acme.pk}:org/with/slashes", "quota")
    status, rows = owner("GET", "/cooldowns")
    assert status == 200
    assert {row["scope"] for row in rows} == {"credential", "account"}
    assert owner("DELETE", f"/cooldowns/{subject}")[0] == 204
    path = f"/cooldowns/account:{acme.pk}:org/with/slashes"
    assert owner("DELETE", path)[0] == 204
    assert owner("GET", "/cooldowns") == (200, [])
    assert owner("DELETE", path)[0] == 422


def test_health_names_states_and_reasons(owner: Api) -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-acme-0000000001"])
    cool(f"model:{acme.models.get().pk}", "model")
    status, found = owner("GET", "/health")
    assert status == 200
    assert [row["state"] for row in found["providers"]] == ["degraded"]
    (model,) = found["models"]
    assert (model["model"], model["state"]) == ("m", "cooling")
    assert model["reasons"] == ["The model is not served"]
