"""Prove of every change through the API: it is audited, versioned, and all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from poolsite import alerts, audit, version
from poolsite.models import Alert, AuditEvent, User
from providers.models import ApiKey
from tests import factories
from tests.providers.api.conftest import Api
from tests.providers.cooling import cool, key_subject
from tests.providers.dump import dump

pytestmark = pytest.mark.django_db


class Case(NamedTuple):
    """A call that changes something, and the event it must leave.

    Shapes: ``is_versioned`` when the data plane has to hear of it.
    """

    action: str
    method: str
    path: str
    body: Any = None
    is_versioned: bool = True


SWITCH = {"trigger": "error", "action": "switch_provider", "provider": "acme"}
WAIT = {"trigger": "rate_limit", "action": "wait_and_retry", "enabled": False}
CASES = [
    Case(
        "provider.create", "POST", "/providers",
        {"id": "new", "base_url": "https://new.example.com/v1"},
    ),
    Case("provider.create", "POST", "/providers", {"id": "g", "catalogue_id": "groq"}),
    Case("provider.update", "PATCH", "/providers/acme", {"priority": 70}),
    Case("provider.disable", "POST", "/providers/acme/disable"),
    Case("provider.enable", "POST", "/providers/acme/enable"),
    Case("provider.remove", "DELETE", "/providers/acme"),
    Case("provider.test", "POST", "/providers/acme/test", None, False),
    Case("api_key.add", "POST", "/providers/acme/keys", {"secret": "sk-another-1"}),
    Case("api_key.disable", "POST", "/providers/acme/keys/{key}/disable"),
    Case("api_key.enable", "POST", "/providers/acme/keys/{key}/enable"),
    Case("api_key.remove", "DELETE", "/providers/acme/keys/{key}"),
    Case("model.add", "POST", "/providers/acme/models", {"models": ["x/y:1"]}),
    Case("model.disable", "POST", "/providers/acme/models/a/b/disable"),
    Case("model.enable", "POST", "/providers/acme/models/a/b/enable"),
    Case("model.update", "PATCH", "/providers/acme/models/a/b", {"timeout_s": 9}),
    Case("model.remove", "DELETE", "/providers/acme/models/a/b"),
    Case("model.disable", "POST", "/models/disable", {"models": ["a/b"]}),
    Case("model.list", "POST", "/providers/acme/models-refresh", None, False),
    Case("request_bodies.set", "PUT", "/request-bodies", {"is_on": True, "keep_kb": 8}),
    Case("request_bodies.forget", "DELETE", "/request-bodies", None, False),
    Case("model.schedule", "PUT", "/models-schedule", {"every_s": 7200}, False),
    Case("probe.start", "POST", "/probes", {"match": "gpt-*"}, False),
    Case("alias.set", "PUT", "/aliases/fast", {"targets": ["acme/gpt-5-mini", "a/b"]}),
    Case("alias.remove", "DELETE", "/aliases/best"),
    Case("client_key.create", "POST", "/client-keys", {"name": "x", "rpm": 5}),
    Case(
        "budget.set", "POST", "/client-keys",
        {"name": "x", "budget": {"amount_usd": "1.5", "window": "day"}},
    ),
    Case("client_key.update", "PATCH", "/client-keys/ci", {"rpm": None, "tpm": 9}),
    Case("client_key.update", "PATCH", "/client-keys/ci", {"team": "core"}),
    Case("client_key.rotate", "POST", "/client-keys/ci/rotate", {"grace": "1h"}),
    Case("client_key.revoke", "POST", "/client-keys/ci/revoke"),
    Case("budget.set", "PUT", "/client-keys/ci/budget", {"amount_usd": "2"}),
    Case("budget.remove", "DELETE", "/client-keys/ci/budget"),
    Case("team.create", "POST", "/teams", {"id": "ops"}),
    Case("budget.set", "PUT", "/budgets", {"amount_usd": "9", "team": "core"}),
    Case("budget.set", "PUT", "/budgets", {"amount_usd": "9"}),
    Case("budget.set", "PATCH", "/budgets/{budget}", {"amount_usd": "3"}),
    Case(
        "budget.increase", "POST", "/budgets/{budget}/increase",
        {"extra_usd": "1", "until": "2099-01-01T00:00:00Z"},
    ),
    Case("budget.remove", "DELETE", "/budgets/{budget}"),
    Case("price.set", "PUT", "/prices/gpt-*", {"input": "1", "output": "2.5"}),
    Case(
        "price.set", "PUT", "/prices/a/b",
        {"input": 1, "output": 2, "provider": "acme", "per_request": "0.001"},
    ),
    Case("price.remove", "DELETE", "/prices/known"),
    Case("price.set", "PUT", "/price-overrides/{price}", {"input": 2, "output": 3}),
    Case("price.remove", "DELETE", "/price-overrides/{price}"),
    Case("feed.set", "PATCH", "/feeds/models_dev", {"enabled": False}, False),
    Case(
        "user.create", "POST", "/users",
        {"email": "n@b.co", "password": "correct horse 9", "role": "viewer"}, False,
    ),
    Case("user.role", "PUT", "/users/{viktor}/role", {"role": "operator"}, False),
    Case(
        "user.password", "PUT", "/users/{viktor}/password",
        {"password": "another horse 9"}, False,
    ),
    Case("user.disable", "POST", "/users/{viktor}/disable"),
    Case("user.enable", "POST", "/users/{viktor}/enable"),
    Case("user.preferences", "PATCH", "/me", {"theme": "dark"}, False),
    Case("api_token.create", "POST", "/tokens", {"name": "n", "scopes": ["read"]}, False),
    Case("api_token.revoke", "DELETE", "/tokens/{token}", None, False),
    Case("account.create", "POST", "/accounts", {"provider": "acme", "token": "tok-1"}),
    Case("account.replace", "PUT", "/accounts/{account}/token", {"token": "tok-2"}),
    Case("account.disable", "POST", "/accounts/{account}/disable"),
    Case("account.enable", "POST", "/accounts/{account}/enable"),
    Case("account.remove", "DELETE", "/accounts/{account}"),
    Case("alert.acknowledge", "POST", "/alerts/{alert}/acknowledge", None, False),
    Case("alert.resolve", "POST", "/alerts/{alert}/resolve", None, False),
    Case("alert.send", "POST", "/alert-deliveries/send", None, False),
    Case(
        "alert_channel.create", "POST", "/alert-channels",
        {"kind": "mail", "name": "m", "addresses": ["a@b.co"]}, False,
    ),
    Case("alert_channel.update", "PATCH", "/alert-channels/{channel}", {"digest_s": 5}, False),
    Case("alert_channel.rotate", "POST", "/alert-channels/{channel}/secret", None, False),
    Case("alert_channel.test", "POST", "/alert-channels/{channel}/test", None, False),
    Case("alert_channel.disable", "POST", "/alert-channels/{channel}/disable", None, False),
    Case("alert_channel.enable", "POST", "/alert-channels/{channel}/enable", None, False),
    Case("alert_channel.remove", "DELETE", "/alert-channels/{channel}", None, False),
    Case("routing.edit", "PATCH", "/routing/draft", {"mode": "cloud"}, False),
    Case("routing.rule_add", "POST", "/routing/draft/rules", SWITCH, False),
    Case("routing.rule_set", "PUT", "/routing/draft/rules/{place}", SWITCH, False),
    Case("routing.rule_move", "POST", "/routing/draft/rules/{place}/move", {"to": 2}, False),
    Case("routing.rule_disable", "POST", "/routing/draft/rules/{place}/disable", None, False),
    Case("routing.rule_enable", "POST", "/routing/draft/rules/{second}/enable", None, False),
    Case("routing.rule_remove", "DELETE", "/routing/draft/rules/{place}", None, False),
    Case("routing.publish", "POST", "/routing/draft/publish", {"note": "n"}),
    Case("routing.discard", "DELETE", "/routing/draft", None, False),
    Case("routing.revert", "POST", "/routing/history/{number}/revert", {}),
    Case("routing.default_model", "PUT", "/routing/default-model", {"model": "best"}),
    Case(
        "routing.default_provider", "PUT", "/routing/default-provider",
        {"provider": "acme"},
    ),
    Case("cooldown.clear", "DELETE", "/cooldowns/{cooldown}"),
    Case("cooldown.clear_all", "DELETE", "/cooldowns"),
    Case("pool.import", "POST", "/import", {"format": "provider-pool", "version": 1}, False),
]  # fmt: skip
HOOK = {"kind": "webhook", "name": "h", "url": "https://hooks.example.com/x"}
NAMES = [f"{case.action} {case.method} {case.path}" for case in CASES]


@pytest.fixture
def pool(owner: Api, viktor: User) -> dict[str, str]:
    """A pool with one of everything; returns the numbers the paths want."""
    factories.make_provider("acme", models=["gpt-5-mini", "a/b"], keys=["sk-acme-1"])
    for method, path, body in (
        ("PATCH", "/providers/acme", {"allow_private": True}),
        ("PUT", "/aliases/best", {"targets": ["gpt-5-mini"]}),
        ("POST", "/teams", {"id": "core"}),
        ("POST", "/client-keys", {"name": "ci", "budget": {"amount_usd": 1}}),
        ("PUT", "/prices/known", {"input": 1, "output": 1}),
        ("POST", "/accounts", {"provider": "acme", "token": "tok-0"}),
        ("POST", "/alert-channels", HOOK),
        ("PATCH", "/routing/draft", {"strategy": "cost"}),
        ("POST", "/routing/draft/publish", {}),
        ("PATCH", "/routing/draft", {"strategy": "latency"}),
        ("POST", "/routing/draft/publish", {}),
        ("POST", "/routing/draft/rules", {**SWITCH, "name": "first"}),
        ("POST", "/routing/draft/rules", WAIT),
    ):
        status, answer = owner(method, path, body)
        assert status in (200, 201), (path, answer)
    alerts.raise_alert("k", "a", title="A")
    return {
        "alert": str(Alert.objects.get().pk),
        "channel": str(owner("GET", "/alert-channels")[1][0]["id"]),
        "key": str(ApiKey.objects.get().pk),
        "cooldown": cool(key_subject(ApiKey.objects.get()), "quota").key,
        "place": "1",
        "second": "2",
        "number": "1",
        "viktor": str(viktor.pk),
        "price": str(owner("GET", "/prices")[1][0]["id"]),
        "budget": str(owner("GET", "/budgets")[1][0]["id"]),
        "account": str(owner("GET", "/accounts")[1][0]["id"]),
        "token": str(owner("GET", "/tokens")[1][0]["id"]),
    }


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_change_leaves_its_event_and_raises_the_version(
    case: Case, owner: Api, pool: dict[str, str]
) -> None:
    before, last = version.current(), AuditEvent.objects.order_by("-id")[0].pk
    status, body = owner(case.method, case.path.format(**pool), case.body)
    assert status in (200, 201, 204), body
    made = AuditEvent.objects.filter(pk__gt=last)
    events = set(made.values_list("action", "source", "actor_label"))
    assert (case.action, "api", "olivia@example.com") in events
    assert (version.current() > before) == case.is_versioned
    assert audit.verify_chain() is None


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_change_that_cannot_be_audited_does_not_happen(
    case: Case,
    owner: Api,
    pool: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(event: AuditEvent) -> str:
        raise RuntimeError("the trail cannot be written")

    monkeypatch.setattr(audit, "_digest", fail)
    before = dump()
    status, body = owner(case.method, case.path.format(**pool), case.body)
    assert (status, body["error"]["code"]) == (500, "failed")
    assert "trail" not in str(body)
    assert dump() == before


def test_every_change_of_the_api_is_in_this_list() -> None:
    from tests.providers.api.test_access import ninja_api

    def shape(path: str) -> str:
        return "/".join(
            "{}" if part.startswith("{") else part for part in path.split("/")
        )

    routes = {
        (method.upper(), shape(path.removeprefix("/api/admin/v1")))
        for path, methods in ninja_api.get_openapi_schema()["paths"].items()
        for method in methods
        if method != "get"
    }
    examples = {(case.method, case.path.replace("a/b", "{}")) for case in CASES}
    for known in ("acme", "fast", "best", "ci", "known", "gpt-*", "models_dev"):
        examples = {(m, p.replace(f"/{known}", "/{}")) for m, p in examples}
    examples = {(m, shape(p)) for m, p in examples}
    examples |= {(m, p.replace("/{}/disable", "/{}/{}")) for m, p in examples}
    # These need a vendor that answers: see test_models.py and test_catalogue.py.
    elsewhere = {
        ("POST", "/catalogue/test"),
        ("POST", "/providers/verify"),
        ("POST", "/providers/{}/verify"),
        ("POST", "/providers/{}/verify/apply"),
        ("POST", "/providers/{}/models-sync"),
        ("POST", "/providers/{}/models-apply"),
        ("POST", "/models/enable"),
        # Asking for news or for what is left changes nothing of ours; decisions and
        # what was fetched need an answer first: see test_feeds.py.
        ("POST", "/providers/{}/account-status"),
        ("POST", "/feeds/refresh"),
        ("POST", "/feeds/{}/refresh"),
        ("POST", "/feeds/{}/decisions"),
        ("DELETE", "/feeds/{}/listing"),
        # These need traffic that was billed: see test_recalculation.py.
        ("POST", "/recalculations"),
        ("POST", "/recalculations/{}/apply"),
        ("POST", "/recalculations/{}/cancel"),
        ("POST", "/recalculations/{}/undo"),
        # These need a file to read: see reconciliation/test_screens.py.
        ("POST", "/statements"),
        ("POST", "/statements/{}/compare"),
        ("DELETE", "/statements/{}"),
        # These need usage to look at: see usage/dashboards and test_requests.py.
        ("POST", "/usage/views"),
        ("PATCH", "/usage/views/{}"),
        ("DELETE", "/usage/views/{}"),
        ("POST", "/usage/exports"),
        ("DELETE", "/usage/exports/{}"),
        ("POST", "/usage/rebuild"),
        ("POST", "/requests/{}/replay"),
        # See test_bodies.py.
        ("POST", "/requests/{}/bodies"),
        ("DELETE", "/requests/{}/bodies"),
        # See retention/test_retention.py.
        ("PUT", "/retention/{}"),
        # One changes nothing, the others need work under way: see test_probes.py.
        ("POST", "/probes/estimate"),
        ("POST", "/probes/{}/cancel"),
        ("POST", "/probes/{}/resume"),
        ("POST", "/jobs/{}/cancel"),
    }
    missing = routes - examples - elsewhere
    assert missing == set()


def test_none_takes_a_limit_away(owner: Api, pool: dict[str, str]) -> None:
    assert owner("PATCH", "/providers/acme", {"rpm": 5})[1]["rpm"] == 5
    assert owner("PATCH", "/providers/acme", {"priority": 1})[1]["rpm"] == 5
    assert owner("PATCH", "/providers/acme", {"rpm": None})[1]["rpm"] is None
    assert owner("PATCH", "/client-keys/ci", {"rpm": 5})[1]["rpm"] == 5
    assert owner("PATCH", "/client-keys/ci", {"rpm": None})[1]["rpm"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"name": None},
        {"model_access": None},
        {"models_allowed": None},
        {"model_access": "only"},
        {"model_access": "only", "models_allowed": []},
        {"rpm": 0},
        {"rpm": 2**31},
        {"ip_allow": ["10.0.0.0/8", "nonsense"]},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2031-01-01T00:00:00"},
        {"window_requests": 5},
        {"models_allowed": [""]},
        {"models_allowed": ["a\u0000b"]},
        {"name": "x" * 121},
        {"name": " "},
        {"team": "nope"},
    ],
)
def test_bad_values_of_a_client_key_are_refused_and_change_nothing(
    body: Any, owner: Api, pool: dict[str, str]
) -> None:
    before = dump()
    status, answer = owner("PATCH", "/client-keys/ci", body)
    assert status in (404, 422), answer
    assert dump() == before


@pytest.mark.parametrize(
    "body",
    [
        {"base_url": "ftp://x"},
        {"base_url": "https://user:pw@x.example.com"},
        {"base_url": "https://x.example.com/v1?key=1"},
        {"base_url": ""},
        {"base_url": "https://x.example.com/" + "a" * 300},
        {"name": "x" * 121},
        {"name": "a\u0000b"},
        {"api_format": "nope"},
        {"location": "moon"},
        {"priority": 101},
        {"weight": 0},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"x-api-key": "x"}},
        {"headers": {"x": "a\r\nb: c"}},
        {"headers": {"a b": "c"}},
        {"headers": {"Host": "x"}},
        {"headers": {"x": "ü"}},
        {"timeouts": {"nope": 1}},
        {"timeouts": {"idle_s": 0}},
        {"timeouts": {"idle_s": 1e12}},
        {"tls_verify": False},
        {"model_access": "only"},
        {"website": "javascript:alert(1)"},
        {"rpm": 0},
        {"concurrency": -1},
    ],
)
def test_bad_values_of_a_provider_are_refused_and_change_nothing(
    body: Any, owner: Api, pool: dict[str, str]
) -> None:
    owner("PATCH", "/providers/acme", {"allow_private": False})
    before = dump()
    status, answer = owner("PATCH", "/providers/acme", body)
    assert status == 422, answer
    assert dump() == before


def test_secrets_are_nowhere_but_in_encrypted_columns(
    olivia: User, api_of: Callable[..., Api], owner: Api
) -> None:
    planted = "canary-5e5e5e5e"
    answers: list[Any] = []

    def call(method: str, path: str, body: Any = None) -> Any:
        status, answer = owner(method, path, body)
        assert status < 300, answer
        answers.append(answer)
        return answer

    call("POST", "/providers", {"id": "acme", "base_url": "https://a.example.com"})
    call("POST", "/providers/acme/keys", {"secret": f"sk-{planted}-tail", "label": "l"})
    call("POST", "/accounts", {"provider": "acme", "token": f"tok-{planted}"})
    password = f"pass {planted} word"
    user = call(
        "POST", "/users", {"email": "p@b.co", "password": password, "role": "viewer"}
    )
    call("PUT", f"/users/{user['id']}/password", {"password": password + "2"})
    key = call("POST", "/client-keys", {"name": "k"}).pop("key")
    rotated = call("POST", "/client-keys/k/rotate", {"grace": "1h"}).pop("key")
    token = call("POST", "/tokens", {"name": "n", "scopes": ["read"]}).pop("token")
    for path in ("/providers", "/providers/acme", "/accounts", "/client-keys", "/tokens",
                 "/client-keys/k", "/export", "/audit", "/users", "/me"):  # fmt: skip
        call("GET", path)
    call("DELETE", "/providers/acme")
    everything = dump() + json.dumps(answers, default=str)
    for secret in (planted, key, rotated, token, owner.token):
        assert secret not in everything
        assert secret.partition("_")[2][9:] not in everything or "_" not in secret
