"""``pool cooldown`` lists what rests, lets it be tried, and says how providers are."""

from __future__ import annotations

from providers.models import Fact, Provider
from tests.providers.commands.conftest import Pool
from tests.providers.cooling import cool, key_subject


def test_cooldowns_are_listed_as_data(pool: Pool, acme: Provider) -> None:
    subject = key_subject(acme.api_keys.get())
    cool(subject, "quota", error="402 no credit", for_s=600)
    (row,) = pool.ok("cooldown", "list", "--json").json
    assert (row["subject"], row["reason"], row["provider"]) == (
        subject,
        "quota",
        "acme",
    )
    assert 590 < row["left_s"] <= 600
    assert row["failures"] == {"quota": 3}
    assert "402 no credit" in pool.ok("cooldown", "list").out


def test_one_or_all_are_cleared(pool: Pool, acme: Provider) -> None:
    subject = key_subject(acme.api_keys.get())
    cool(subject, "quota")
    cool(f"provider:{acme.pk}", "connect")
    pool.ok("cooldown", "clear", subject)
    rows = Fact.objects.filter(kind="cooldown")
    assert [row.key for row in rows] == [f"provider:{acme.pk}"]
    assert "1 cooldown cleared" in pool.ok("cooldown", "clear", "--all").out
    assert not rows.all().exists()


def test_what_is_not_known_is_refused_in_one_line(pool: Pool, acme: Provider) -> None:
    assert "not cooling down" in pool.refused("cooldown", "clear", "provider:1")
    pool.refused("cooldown", "clear")


def test_health_is_told_as_data(pool: Pool, acme: Provider) -> None:
    cool(key_subject(acme.api_keys.get()), "auth")
    (row,) = pool.ok("cooldown", "health", "--json").json
    assert (row["provider"], row["state"]) == ("acme", "cooling")
    assert "acme" in pool.ok("cooldown", "health").out
