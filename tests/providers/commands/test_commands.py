"""Prove the command line as it is documented: spelling, output, exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.client_keys import parse_client_key
from poolsite.models import AuditEvent, OneTimeToken, User
from pricing.models import CustomPrice
from providers.models import ApiKey, Provider
from providers.services import providers
from tests import factories
from tests.providers.commands.conftest import Pool
from tests.providers.dump import dump
from usage.models import Budget, ClientKey

SECRET = "sk-canary-0123456789-abcd"


def test_provider_add_takes_every_documented_option(pool: Pool) -> None:
    pool.ok(
        "provider", "add", "acme", "--name", "Acme", "--base-url",
        "http://10.0.0.5:8000/v1", "--format", "openai", "--location", "local",
        "--priority", "70", "--api-key-stdin", "--model", "m1", "m2", "--model", "m3",
        "--allow-private", "--disabled", stdin=SECRET + "\n",
    )  # fmt: skip
    row = Provider.objects.get()
    assert (row.slug, row.name, row.priority, row.enabled) == (
        "acme",
        "Acme",
        70,
        False,
    )
    assert (row.location, row.allow_private) == ("local", True)
    assert list(row.models.values_list("model_id", flat=True)) == ["m1", "m2", "m3"]
    assert row.api_keys.get().mask == "sk-…abcd"


def test_provider_add_from_the_catalogue_needs_no_more(pool: Pool) -> None:
    pool.ok("provider", "add", "groq", "--catalogue", "groq")
    assert Provider.objects.get().base_url.startswith("https://api.groq.com")


def test_provider_add_fails_whole(pool: Pool) -> None:
    before = dump()
    pool.refused(
        "provider", "add", "a", "--base-url", "https://a.example.com",
        "--api-key-stdin", "--model", "x" * 201, stdin=SECRET,
    )  # fmt: skip
    assert dump(without=("poolsite.canary", "poolsite.encryptionkey")) == before


def test_provider_list_and_show_print_data(pool: Pool, acme: Provider) -> None:
    [row] = pool.ok("provider", "list", "--json").json
    assert (row["id"], row["keys"], row["models"]) == ("acme", 1, 2)
    shown = pool.ok("provider", "show", "acme", "--json").json
    assert shown["keys"][0]["mask"] == "sk-…0001"
    assert "acme" in pool.ok("provider", "list").out
    assert "base_url: https" in pool.ok("provider", "show", "acme").out


def test_provider_set_enable_disable_remove(pool: Pool, acme: Provider) -> None:
    pool.ok("provider", "set", "acme", "--priority", "10")
    pool.ok("provider", "disable", "acme")
    acme.refresh_from_db()
    assert (acme.priority, acme.enabled) == (10, False)
    pool.ok("provider", "enable", "acme")
    pool.ok("provider", "remove", "acme")
    assert not providers.live().exists()
    assert ApiKey.objects.get().secret == ""


def test_provider_key_add_reads_stdin_and_shows_a_mask(
    pool: Pool, acme: Provider
) -> None:
    ran = pool.ok("provider", "key-add", "acme", "--label", "second", stdin=SECRET)
    assert "sk-…abcd" in ran.out
    assert SECRET not in ran.out + dump()


@pytest.mark.parametrize("stdin", ["", "\n", None, "two words", "a\nb"])
def test_secret_that_is_none_is_refused(
    stdin: str | None, pool: Pool, acme: Provider
) -> None:
    pool.refused("provider", "key-add", "acme", stdin=stdin)


def test_key_create_prints_the_key_alone(pool: Pool) -> None:
    ran = pool.ok(
        "key", "create", "ci", "--models", "gpt-*", "claude-*", "--budget-usd", "20",
        "--window", "week", "--rpm", "60", "--tpm", "1000", "--concurrency", "4",
        "--expires", "30",
    )  # fmt: skip
    text = ran.out.removesuffix("\n")
    assert parse_client_key(text) is not None
    key = ClientKey.objects.get()
    assert (key.model_access, key.models_allowed) == ("only", ["gpt-*", "claude-*"])
    assert (key.rpm, key.tpm, key.concurrency) == (60, 1000, 4)
    budget = Budget.objects.get()
    assert (budget.amount_nano_usd, budget.window) == (20 * 10**9, "week")
    assert text not in dump()


def test_key_list_rotate_revoke(pool: Pool) -> None:
    pool.ok("key", "create", "ci", "--budget-usd", "1.5")
    [row] = pool.ok("key", "list", "--json").json
    assert row["name"] == "ci"
    assert row["budgets"][0]["amount_nano_usd"] == 1_500_000_000
    assert "$0.00 of $1.50 a month" in pool.ok("key", "list").out
    assert parse_client_key(pool.ok("key", "rotate", "ci").out.strip()) is not None
    pool.ok("key", "revoke", "ci")
    assert pool.ok("key", "list", "--json").json == []
    assert "no client key" in pool.refused("key", "revoke", "ci")


@pytest.mark.parametrize(
    "options",
    [
        ("--budget-usd", "x"), ("--budget-usd", "nan"), ("--budget-usd", "-1"),
        ("--budget-usd", "1e30"), ("--rpm", "0"), ("--rpm", "-1"), ("--rpm", "x"),
        ("--rpm", "99999999999"), ("--expires", "0"), ("--expires", "999999999"),
        ("--window", "year"), ("--team", "nope"), ("--models", ""), ("--nope",),
    ],
)  # fmt: skip
def test_key_create_refuses_nonsense_and_makes_nothing(
    options: tuple[str, ...], pool: Pool
) -> None:
    pool.refused("key", "create", "ci", *options)
    assert not ClientKey.objects.exists()


def test_name_in_use_is_said(pool: Pool) -> None:
    pool.ok("key", "create", "ci")
    assert "exists already" in pool.refused("key", "create", "ci")


def test_price_set_list_remove(pool: Pool, acme: Provider) -> None:
    pool.ok(
        "price", "set", "gpt-5-mini", "--provider", "acme", "--input", "0.25",
        "--output", "2", "--cache-read", "0.025", "--cache-write", "0.3",
        "--cache-write-1h", "0.5", "--per-request", "0.001",
    )  # fmt: skip
    version = CustomPrice.objects.get().version
    assert (version.input, version.output) == (250_000_000, 2_000_000_000)
    assert (version.cache_read, version.cache_write_1h) == (25_000_000, 500_000_000)
    # 0.001 USD a request is 10^6 nano-USD, kept per million requests.
    assert version.per_request == 1_000_000 * 10**6
    [row] = pool.ok("price", "list", "--json").json
    assert (row["input"], row["per_request"]) == ("0.25", "0.001")
    pool.ok("price", "remove", "gpt-5-mini", "--provider", "acme")
    assert pool.ok("price", "list", "--json").json == []


@pytest.mark.parametrize("text", ["x", "nan", "-1", "inf", "0.0000000001", "1" * 50])
def test_price_that_is_none_is_refused(text: str, pool: Pool) -> None:
    pool.refused("price", "set", "m", f"--input={text}", "--output", "1")
    assert not CustomPrice.objects.exists()


def test_price_of_an_unknown_provider_is_refused(pool: Pool) -> None:
    line = pool.refused(
        "price", "set", "m", "--provider", "no", "--input", "1", "--output", "1"
    )
    assert "no provider no" in line


def test_alias_set_list_remove(pool: Pool, acme: Provider) -> None:
    pool.ok("alias", "set", "fast", "acme/gpt-5-mini", "a/b")
    [row] = pool.ok("alias", "list", "--json").json
    assert (row["name"], row["targets"]) == ("fast", ["acme/gpt-5-mini", "a/b"])
    pool.refused("alias", "set", "fast", "acme/nope")
    pool.ok("alias", "remove", "fast")
    pool.refused("alias", "remove", "fast")


def test_model_list(pool: Pool, acme: Provider) -> None:
    rows = pool.ok("model", "list", "acme", "--json").json
    assert [row["id"] for row in rows] == ["a/b", "gpt-5-mini"]


def test_budget_of_the_pool_a_team_and_a_key(pool: Pool) -> None:
    pool.ok("team", "create", "core", "--name", "Core")
    pool.ok("key", "create", "ci", "--team", "core")
    pool.ok("budget", "set", "--usd", "100")
    pool.ok("budget", "set", "--usd", "5", "--window", "day")
    pool.ok("budget", "set", "--usd", "6", "--window", "day", "--soft")
    pool.ok("budget", "set", "--team", "core", "--usd", "20")
    pool.ok("budget", "set", "--key", "ci", "--usd", "2", "--time-zone", "Asia/Tokyo")
    rows = pool.ok("budget", "list", "--json").json
    found = {(r["scope"], r["of"], r["window"], r["amount_nano_usd"]) for r in rows}
    assert found == {
        ("pool", "", "month", 100 * 10**9),
        ("pool", "", "day", 6 * 10**9),
        ("team", "core", "month", 20 * 10**9),
        ("key", "ci", "month", 2 * 10**9),
    }
    pool.ok("budget", "remove", str(rows[0]["id"]))
    assert len(pool.ok("budget", "list", "--json").json) == 3
    assert pool.ok("team", "list", "--json").json[0]["keys"] == 1


@pytest.mark.parametrize("zone", ["America", "Mars/Base", "", "../etc", "UTC\x00"])
def test_budget_in_no_time_zone_is_refused(zone: str, pool: Pool) -> None:
    pool.refused("budget", "set", "--usd", "1", f"--time-zone={zone}")


def test_account_add_list_renew_remove(pool: Pool, acme: Provider) -> None:
    pool.ok("account", "add", "acme", "--label", "me", stdin="tok-canary-1\n")
    [row] = pool.ok("account", "list", "--json").json
    assert (row["provider"], row["label"], row["state"]) == ("acme", "me", "ok")
    number = str(row["id"])
    pool.refused("account", "add", "acme", "--label", "me", stdin="tok-2")
    pool.ok("account", "renew", number, "--expires", "5", stdin="tok-canary-2\n")
    pool.ok("account", "disable", number)
    pool.ok("account", "enable", number)
    assert "tok-canary" not in dump()
    pool.ok("account", "remove", number)
    assert pool.ok("account", "list", "--json").json == []


def test_user_create_and_its_kin(pool: Pool) -> None:
    password = "  correct horse battery  "
    pool.ok("user", "create", "Me@Example.com", stdin=password + "\n")
    user = User.objects.get()
    assert user.email == "me@example.com"
    assert user.check_password(password)
    pool.ok("user", "create", "v@example.com", "--role", "viewer", stdin=password)
    pool.ok("user", "role", "v@example.com", "operator")
    pool.ok("user", "password", "v@example.com", stdin="another horse 9")
    pool.ok("user", "disable", "v@example.com")
    rows = pool.ok("user", "list", "--json").json
    assert rows[1] == {"email": "v@example.com", "role": "operator", "active": False}
    assert "last owner" in pool.refused("user", "disable", "me@example.com")
    assert "last owner" in pool.refused("user", "role", "me@example.com", "viewer")
    for email, secret in (
        ("bad", password),
        ("n@b.co", "short"),
        ("v@example.com", password),
    ):
        pool.refused("user", "create", email, stdin=secret)


def test_setup_token_opens_the_wizard_until_somebody_exists(pool: Pool) -> None:
    first, second = (pool.ok("setup-token").out.strip() for _ in range(2))
    assert first.startswith("http://127.0.0.1:8080/setup/?token=")
    assert first != second
    assert OneTimeToken.objects.count() == 1
    factories.make_user("a@b.co", "owner")
    assert "sign in" in pool.refused("setup-token")


def test_api_token_is_printed_once_and_revoked(pool: Pool) -> None:
    factories.make_user("a@b.co", "owner")
    ran = pool.ok("token", "create", "ci", "--email", "A@b.co", "--scope", "read")
    assert ran.out.startswith("pa_")
    assert ran.out.strip() not in dump()
    pool.refused("token", "create", "ci", "--email", "a@b.co")
    assert pool.ok("token", "list", "--json").json[0]["scopes"] == "read"
    pool.ok("token", "revoke", "ci")
    pool.refused("token", "revoke", "ci")


def test_export_and_import(pool: Pool, acme: Provider, tmp_path: Path) -> None:
    file = tmp_path / "pool.json"
    file.write_text(pool.ok("export").out)
    pool.ok("provider", "remove", "acme")
    assert "Would create 1" in pool.ok("import", str(file), "--dry-run").out
    ran = pool.ok("import", str(file), "--from", "pool")
    assert "Created 1, changed 0." in ran.out
    assert "pool provider key-add acme" in ran.out
    file.write_text("{}")
    assert "Nothing was changed" in pool.refused("import", str(file)) or True
    pool.refused("import", str(tmp_path / "nope"))


def test_doctor_is_content_with_a_pool_that_is_set_up(
    pool: Pool, acme: Provider
) -> None:
    pool.ok("key", "create", "ci")
    found = pool.ok("doctor", "--json").json
    assert all(each["ok"] for each in found)
    assert any("0 nodes alive" in each["text"] for each in found)


def test_doctor_names_what_is_wrong(pool: Pool, acme: Provider) -> None:
    pool.ok("key", "create", "ci")
    ClientKey.objects.update(pepper_id="lost")
    AuditEvent.objects.filter(action="provider.create").update(actor_label="nobody")
    providers.set_enabled(SYSTEM, acme, enabled=False)
    ran = pool("doctor")
    assert ran.status == 1
    assert "POOL_PEPPERS" in ran.out
    assert "audit chain breaks" in ran.out
    assert "wrong  0 of 1 providers usable" in ran.out


def test_usage_has_the_documented_shape(pool: Pool, acme: Provider) -> None:
    key, _ = factories.make_client_key("ci")
    factories.make_request(key, factories.try_at(acme, "gpt-5-mini"))
    data = pool.ok("usage", "--json").json
    assert list(data) == ["totals", "groups"]
    assert list(data["totals"]) == [
        "requests", "attempts", "errors", "input_tokens", "output_tokens",
        "reasoning_tokens", "cache_read_tokens", "cache_write_tokens",
        "cache_write_1h_tokens", "cost_nano_usd", "unpriced_requests",
    ]  # fmt: skip
    assert data["totals"]["cost_nano_usd"] == 1200 * 250 + 340 * 2000
    groups = pool.ok("usage", "--by", "provider", "--json").json["groups"]
    assert [(each["name"], each["requests"]) for each in groups] == [("acme", 1)]
    assert "1 requests, 1 attempts" in pool.ok("usage", "--by", "key").out


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-02-30T00:00", "1e9"])
def test_usage_refuses_what_is_no_time(text: str, pool: Pool) -> None:
    assert "is not a time" in pool.refused("usage", "--since", text)


@pytest.mark.parametrize(
    "call",
    [
        ("provider",), ("provider", "nope"), ("provider", "add"), ("key", "create"),
        ("key", "create", "a", "b"), ("price", "set", "m"), ("alias", "set", "x"),
        ("usage", "--by", "colour"), ("provider", "show", "nope"), ("model", "list", "no"),
        ("provider", "set", "nope", "--priority", "1"), ("account", "add", "nope"),
        ("import",), ("import", "--from", "litellm", "x"), ("route", "explain"),
        ("budget", "set"), ("user", "create", "a@b.co", "--role", "king"),
        ("restore", "/nope"), ("provider", "add", "BAD ID", "--base-url", "https://x.co"),
    ],
)  # fmt: skip
def test_wrong_call_is_one_line_and_changes_nothing(
    call: tuple[str, ...], pool: Pool
) -> None:
    pool.ok("doctor")
    before = dump()
    pool.refused(*call)
    assert dump() == before


def test_no_command_ever_prints_a_secret(
    pool: Pool, acme: Provider, tmp_path: Path
) -> None:
    printed = []
    for call in (
        ("provider", "key-add", "acme"), ("account", "add", "acme"),
    ):  # fmt: skip
        printed.append(pool.ok(*call, stdin=f"tok-{SECRET}").out)
    for call in (
        ("provider", "show", "acme"), ("provider", "show", "acme", "--json"),
        ("account", "list"), ("key", "list"), ("export",), ("doctor",),
    ):  # fmt: skip
        printed.append(pool.ok(*call).out)
    printed.append(pool.refused("provider", "key-add", "acme", stdin=f"tok-{SECRET}"))
    assert SECRET not in "".join(printed) + dump()


def commands_of_design() -> list[Any]:
    return [
        ("provider", ["add", "list", "show", "set", "test", "enable", "disable", "remove",
                      "key-add"]),
        ("model", ["sync", "list"]), ("account", ["add", "list", "remove"]),
        ("alias", ["set"]), ("budget", ["set", "list", "remove"]),
        ("key", ["create", "list", "revoke"]), ("price", ["set"]), ("route", ["explain"]),
        ("user", ["create"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "actions"), commands_of_design())
def test_documented_actions_exist(name: str, actions: list[str], pool: Pool) -> None:
    line = pool.refused(name, "no-such-action")
    for each in actions:
        assert f"'{each}'" in line


def test_provider_set_says_that_keys_are_for_the_old_address(
    pool: Pool, acme: Provider
) -> None:
    said = pool.ok("provider", "set", "acme", "--base-url", "https://moved.example.com")
    assert "entered for the old address" in str(said)
