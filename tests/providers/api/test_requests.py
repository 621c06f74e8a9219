"""The request log by API: the search of the console, one request, a replay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from poolsite.actor import SYSTEM
from poolsite.models import AuditEvent
from tests.factories import (
    failed_at,
    make_client_key,
    make_provider,
    make_request,
    make_requests,
    try_at,
)
from tests.providers.api.conftest import Api
from tests.vendors.server import Reply, Vendor
from usage import services
from usage.models import ClientKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_id() -> str:
    good = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-secret-1"])
    bad = make_provider("down", models=["gpt-5-mini"], keys=["sk-down-secret-1"])
    key, _ = make_client_key("ci")
    return make_request(
        key,
        failed_at(bad, "gpt-5-mini"),
        try_at(good, "gpt-5-mini", start_ms=320),
        session="s 1",
    )


def test_the_log_is_searched_with_the_words_of_the_console(
    viewer: Api, request_id: str
) -> None:
    status, found = viewer("GET", "/requests?q=key:ci+fallback:yes+session:%22s+1%22")
    assert status == 200
    [row] = found["requests"]
    assert (row["id"], row["provider"], row["attempts"]) == (request_id, "acme", 2)
    assert row["cost_nano_usd"] == 980_000
    assert viewer("GET", "/requests?q=provider:down")[1]["requests"] == []


def test_pages_follow_each_other_without_gaps(viewer: Api) -> None:
    made = make_requests(make_provider(models=["m"]), "m", 7)
    seen, cursor = [], ""
    while cursor is not None:
        _, page = viewer("GET", f"/requests?limit=3&cursor={cursor}")
        seen += [row["id"] for row in page["requests"]]
        cursor = page["older"]
    assert seen == made


@pytest.mark.parametrize(
    ("query", "status"),
    [("q=colour:red", 422), ("limit=0", 422), ("limit=501", 422), ("cursor=x", 400)],
)
def test_a_wrong_question_is_refused(viewer: Api, query: str, status: int) -> None:
    assert viewer("GET", f"/requests?{query}")[0] == status


def test_one_request_is_told_with_its_attempts_and_no_secret(
    viewer: Api, request_id: str
) -> None:
    status, found = viewer("GET", f"/requests/{request_id}")
    assert status == 200
    first, second = found["attempts"]
    assert (first["decision"], second["decision"]) == ("next_provider", "served")
    assert second["price_version"]
    assert sum(line["cost_nano_usd"] for line in second["cost_lines"]) == 980_000
    assert "secret" not in str(found)
    missing = "0198f2a4-77c1-7b2e-9d41-5b0c2f1e9c41"
    assert viewer("GET", f"/requests/{missing}")[0] == 404


@pytest.fixture
def own_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A server that stands for the proxy, which answers a replay."""
    with Vendor() as vendor:
        answer = Reply({"ok": True}, headers={"x-pool-request-id": "new-id"})
        vendor.on("POST", "/v1/chat/completions", answer)
        address = vendor.root.removeprefix("http://")
        monkeypatch.setattr(
            type(settings.CONFIG), "own_address", property(lambda _: address)
        )
        yield vendor


BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}


def test_a_replay_asks_the_pool_as_the_key_of_the_original(
    operator: Api, request_id: str, own_pool: Vendor
) -> None:
    path = f"/requests/{request_id}/replay"
    status, answer = operator("POST", path, {"body": BODY})
    assert (status, answer["status"], answer["request_id"]) == (200, 200, "new-id")
    asked = own_pool.last
    assert asked.json() == BODY
    assert asked.headers["x-pool-replay-of"] == request_id
    event = AuditEvent.objects.get(action="request.replay")
    assert event.after is not None
    assert event.after["request"] == request_id
    assert "hi" not in str(event.after)


def test_a_replay_needs_a_body_a_role_and_a_living_key(
    operator: Api, viewer: Api, request_id: str, own_pool: Vendor
) -> None:
    path = f"/requests/{request_id}/replay"
    assert viewer("POST", path, {"body": BODY})[0] == 403
    assert operator("POST", path, {})[0] == 422
    assert operator("POST", path, {"body": "text"})[0] == 422
    services.revoke_key(SYSTEM, ClientKey.objects.get(name="ci"))
    status, answer = operator("POST", path, {"body": BODY})
    assert status == 422
    assert "revoked" in answer["error"]["message"]
    assert own_pool.asked == []
