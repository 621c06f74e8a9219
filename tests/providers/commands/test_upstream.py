"""Prove the commands and calls that ask a provider, against one that misbehaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from poolsite import tokens
from poolsite.actor import SYSTEM
from poolsite.models import User
from providers.models import Provider
from tests import factories
from tests.providers.api.conftest import Api
from tests.providers.commands.conftest import Pool
from tests.rig.thread import UpstreamThread


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamThread]:
    with UpstreamThread(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@pytest.fixture
def acme(pool: Pool, upstream: UpstreamThread) -> Provider:
    return factories.make_provider(
        "acme",
        base_url=upstream.base_url,
        allow_private=True,
        keys=["sk-good-01234567"],
    )


@pytest.fixture
def broken(pool: Pool, upstream: UpstreamThread) -> Provider:
    return factories.make_provider(
        "broken", base_url=upstream.base_url, allow_private=True, keys=["sk-bad-401"]
    )


def test_provider_test_says_each_stage_and_is_kept(pool: Pool, acme: Provider) -> None:
    out = pool.ok("provider", "test", "acme").out
    assert "connectivity: ok" in out
    assert "3 models listed" in out
    data = pool.ok("provider", "test", "acme", "--json").json
    assert (data["ok"], data["state"], len(data["models"])) == (True, "healthy", 3)


def test_failing_test_is_exit_1_and_remembered(pool: Pool, broken: Provider) -> None:
    assert "refused the key" in pool.refused("provider", "test", "broken")
    broken.refresh_from_db()
    assert (broken.status, "refused" in broken.last_error) == ("error", True)


def test_model_sync_adds_what_is_listed_once(pool: Pool, acme: Provider) -> None:
    assert "3 models listed, 3 new." in pool.ok("model", "sync", "acme").out
    assert "3 models listed, 0 new." in pool.ok("model", "sync", "acme").out
    assert set(acme.models.values_list("source", flat=True)) == {"discovered"}


def test_model_sync_of_a_failing_provider_changes_nothing(
    pool: Pool, broken: Provider
) -> None:
    assert "Nothing changed" in pool.refused("model", "sync", "broken")
    assert not broken.models.exists()


def test_api_does_the_same(acme: Provider, broken: Provider, olivia: User) -> None:
    _, text = tokens.create_token(SYSTEM, user=olivia, name="t", scopes=["admin"])
    api = Api(text)
    assert api("POST", "/providers/acme/test")[1]["ok"] is True
    assert len(api("POST", "/providers/acme/models-sync")[1]) == 3
    status, body = api("POST", "/providers/broken/models-sync")
    assert (status, "Nothing changed" in body["error"]["message"]) == (422, True)
    assert api("POST", "/providers/broken/test")[1]["state"] == "invalid_key"
