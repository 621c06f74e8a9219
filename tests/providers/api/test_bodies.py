"""Prompts and answers through the API: read with an audit event, forgotten, switched."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from poolsite.models import AuditEvent, User
from tests.providers.api.conftest import Api
from tests.usage.bodies.store import store
from usage.models import RequestBody

pytestmark = pytest.mark.django_db
ONE = UUID(int=9)
PATH = f"/requests/{ONE}/bodies"


def test_bodies_are_told_and_the_look_is_audited(owner: Api) -> None:
    assert owner("POST", PATH)[0] == 404
    store(ONE, b"word " * 40, None, keep=100)
    status, told = owner("POST", PATH)
    assert status == 200
    assert told == {
        "asked": {"text": "word " * 20, "bytes": 200, "is_cut": True},
        "answered": None,
    }
    assert AuditEvent.objects.filter(action="request_bodies.view").count() == 1


def test_a_look_needs_more_than_the_scope_to_read(
    olivia: User, oskar: User, viktor: User, api_of: Callable[..., Api]
) -> None:
    store(ONE)
    assert api_of(oskar)("POST", PATH)[0] == 200
    assert api_of(olivia, "read")("POST", PATH)[0] == 403
    assert api_of(viktor)("POST", PATH)[0] == 403
    assert "bodies" not in str(api_of(olivia)("GET", "/requests")[1])


def test_one_is_forgotten_by_operators_all_by_owners(
    owner: Api, oskar: User, api_of: Callable[..., Api]
) -> None:
    store(ONE)
    store(UUID(int=10))
    operator = api_of(oskar)
    assert operator("DELETE", "/request-bodies")[0] == 403
    assert operator("DELETE", PATH)[0] == 204
    assert operator("DELETE", PATH)[0] == 404
    assert owner("DELETE", "/request-bodies") == (200, {"forgotten": 1})
    assert not RequestBody.objects.exists()


def test_the_switch_is_read_and_set_within_bounds(owner: Api, oskar: User) -> None:
    assert owner("GET", "/request-bodies")[1] == {"is_on": False, "keep_kb": 64}
    assert owner("PUT", "/request-bodies", {"keep_kb": 0})[0] == 422
    told = owner("PUT", "/request-bodies", {"is_on": True})[1]
    assert told == {"is_on": True, "keep_kb": 64}
