"""``pool rule``: rules from the command line, and ``pool model set``."""

from __future__ import annotations

import pytest

from providers import selectors_routing as selectors
from providers.models import Provider, ProviderModel
from providers.snapshot.records import routing_record
from tests.factories import make_requests
from tests.providers.commands.conftest import Pool

pytestmark = pytest.mark.django_db
SWITCH = ("error", "switch_provider", "--provider", "acme")


def places() -> list[str]:
    return [each.name for each in selectors.standing().edited.rules]


def test_rules_are_edited_in_a_draft_and_published(pool: Pool, acme: Provider) -> None:
    pool.ok("rule", "add", *SWITCH, "--name", "a", "--models", "gpt-*", "x")
    low = ("low_funds", "switch_model", "--model", "a/b", "--below-usd", "2.5")
    pool.ok("rule", "add", *low, "--name", "b")
    wait = ("rate_limit", "wait_and_retry", "--retries", "5", "--backoff", "constant")
    pool.ok("rule", "add", *wait, "--name", "c", "--place", "1")
    assert places() == ["c", "a", "b"]
    pool.ok("rule", "move", "1", "3")
    pool.ok("rule", "disable", "1")
    pool.ok("rule", "enable", "1")
    pool.ok("rule", "disable", "2")
    pool.ok("rule", "set", "3", "--retries", "7", "--keys", "ci")
    listed = pool.ok("rule", "list", "--json").json
    assert [each["name"] for each in listed] == ["a", "b", "c"]
    assert (listed[0]["models"], listed[0]["enabled"]) == (["gpt-*", "x"], True)
    assert (listed[1]["below_nano_usd"], listed[1]["enabled"]) == (2_500_000_000, False)
    assert (listed[2]["max_retries"], listed[2]["backoff"]) == (7, "constant")
    assert "no client key has such a name" in pool.ok("rule", "list").out
    assert "Rule 1 added" in pool.ok("rule", "diff").out
    assert routing_record().rules == ()
    assert "Routing 1 is in force" in pool.ok("rule", "publish", "--note", "n").out
    assert len(routing_record().rules) == 3
    pool.ok("rule", "remove", "2")
    assert "removed" in pool.ok("rule", "diff").out
    assert len(pool.ok("rule", "list", "--in-force", "--json").json) == 3
    pool.ok("rule", "discard")
    assert "changes nothing" in pool.ok("rule", "diff").out
    pool.ok("rule", "remove", "1")
    pool.ok("rule", "publish")
    assert "Routing 3 is in force, as 1 was" in pool.ok("rule", "revert", "1").out
    history = pool.ok("rule", "history", "--json").json
    assert [(each["number"], each["note"]) for each in history] == [
        (3, "Back to 1"),
        (2, ""),
        (1, "n"),
    ]
    assert "Back to 1" in pool.ok("rule", "history").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "moon", "switch_provider"), "It is one of"),
        (("add", "error", "switch_provider"), "Name the provider"),
        (("add", "low_funds", "switch_model", "--model", "m"), "below which"),
        (("add", *SWITCH, "--below-usd", "much"), "is not a balance in USD"),
        (("set", "1", "--name", "x"), "There is no rule 1"),
        (("move", "1", "2"), "There is no rule 1"),
        (("publish",), "no draft"),
        (("revert", "5"), "no published routing 5"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    pool: Pool, arguments: tuple[str, ...], said: str
) -> None:
    assert said in pool.refused("rule", *arguments)
    assert selectors.standing().draft is None


def test_a_rule_that_leads_nowhere_is_told_at_once(pool: Pool, acme: Provider) -> None:
    pool.ok("rule", "add", *SWITCH, "--name", "good")
    ghost = ("error", "switch_provider", "--provider", "ghost")
    told = "There is no provider ghost."
    added = pool.ok("rule", "add", *ghost).out
    assert "Rule 2, but: " + told in added
    assert "Rule 1" not in added
    assert told not in pool.ok("rule", "set", "1", "--name", "better").out
    changed = pool.ok("rule", "diff").out
    assert "Rule 2, but: " + told in changed
    assert "Rule 1 added: better: When a call fails: ask provider acme." in changed
    assert "->" not in changed


def test_a_models_deadline_is_set(pool: Pool, acme: Provider) -> None:
    pool.ok("model", "set", "acme", "a/b", "--timeout", "45", "--context", "1000")
    row = ProviderModel.objects.get(model_id="a/b")
    assert (row.timeout_s, row.context_window) == (45, 1000)
    pool.ok("model", "set", "acme", "a/b", "--timeout", "0")
    row.refresh_from_db()
    assert (row.timeout_s, row.context_window) == (None, 1000)
    assert "Between 1 and" in pool.refused(
        "model", "set", "acme", "a/b", "--timeout", "86401"
    )
    assert "has no model" in pool.refused("model", "set", "acme", "nope")


def test_settings_are_changed_replayed_and_published(
    pool: Pool, acme: Provider
) -> None:
    pool.ok(
        "routing", "set", "--strategy", "cost", "--groups", "free", "*",
        "--sticky", "60", "--format-affinity", "off", "--queue-length", "9",
        "--cooldown", "rate_first_s=60", "failure_after=4",
    )  # fmt: skip
    draft = pool.ok("routing", "show", "--draft").json
    assert (draft["strategy"], draft["sticky_s"]) == ("cost", 60)
    assert draft["cooldown"] == {"rate_first_s": 60, "failure_after": 4}
    assert pool.ok("routing", "show").json["strategy"] == "priority"
    make_requests(acme, "a/b", 2)
    assert "0 of 2" in pool.ok("routing", "replay").out
    pool.ok("routing", "set", "--mode", "local")
    assert "2 of 2" in pool.ok("routing", "replay").out
    assert pool.ok("routing", "replay", "--json").json["refused_on_draft"] == 2
    pool.ok("rule", "publish")
    assert (routing_record().groups, routing_record().mode) == (("free", "*"), "local")
    assert "Say what to change" in pool.refused("routing", "set")
    assert "NAME=NUMBER" in pool.refused("routing", "set", "--cooldown", "x")
    assert "no number" in pool.refused("routing", "set", "--cooldown", "x=1")
    assert "between 0" in pool.refused("routing", "set", "--sticky", "nan")


def test_the_defaults_are_set(pool: Pool, acme: Provider) -> None:
    assert "one of a shortlist" in pool.ok("routing", "default").out
    ran = pool.ok("routing", "default", "--model", "a/b", "--provider", "acme")
    assert "Model: a/b" in ran.out
    assert "Provider: acme" in ran.out
    assert "no such provider" in pool.refused("routing", "default", "--provider", "x")
