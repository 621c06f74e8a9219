"""Prove what changes to providers, keys, models and aliases do beyond their row."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite import secrets, version
from poolsite.actor import CLI
from poolsite.models import AuditEvent
from providers import selectors
from providers.models import Alias, ApiKey, Provider
from providers.services import credentials, models, onboard, providers
from providers.services.errors import ServiceError
from tests import factories

pytestmark = pytest.mark.django_db
SECRET = "sk-acme-0123456789"


@pytest.fixture
def acme() -> Provider:
    return factories.make_provider("acme", models=["m", "a/b"], keys=[SECRET])


def state(provider: Provider) -> str:
    return provider.api_keys.get(deleted_at=None).state


def test_moved_provider_parks_its_keys_until_they_are_entered_again(
    acme: Provider,
) -> None:
    before = version.current()
    providers.update_provider(CLI, acme, base_url="https://elsewhere.example.com/v1")
    assert state(acme) == ApiKey.State.ORIGIN_CHANGED
    assert list(version.changed_since(ApiKey, before)) == [acme.api_keys.get()]
    credentials.add_key(CLI, acme, SECRET)  # the same key, for the new place
    key = acme.api_keys.get()
    assert (key.state, key.origin) == ("ok", "https://elsewhere.example.com:443")
    opened = secrets.open_for(key, "secret")
    assert (opened.reveal(), opened.origin) == (SECRET, key.origin)
    assert AuditEvent.objects.filter(action="api_key.reenter").exists()


def test_provider_that_moves_back_has_its_keys_again(acme: Provider) -> None:
    home = acme.base_url
    providers.update_provider(CLI, acme, base_url="https://elsewhere.example.com")
    providers.update_provider(CLI, acme, base_url=home)
    assert state(acme) == ApiKey.State.OK
    assert secrets.open_for(acme.api_keys.get(), "secret").reveal() == SECRET


def test_another_path_at_the_same_origin_moves_nothing(acme: Provider) -> None:
    providers.update_provider(CLI, acme, base_url="https://api.acme.example.com/v2/")
    acme.refresh_from_db()
    assert acme.base_url == "https://api.acme.example.com/v2"
    assert state(acme) == ApiKey.State.OK


def test_unreadable_key_is_healed_by_entering_it_again(acme: Provider) -> None:
    ApiKey.objects.update(state=ApiKey.State.UNREADABLE, secret="garbage")
    credentials.add_key(CLI, acme, SECRET)
    assert secrets.open_for(acme.api_keys.get(), "secret").reveal() == SECRET


def test_known_key_is_refused(acme: Provider) -> None:
    with pytest.raises(ServiceError, match="in the pool already"):
        credentials.add_key(CLI, acme, f" 'Bearer {SECRET}' ".replace("'", ""))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" sk-1 \n", "sk-1"), ('"sk-1"', "sk-1"), ("Bearer sk-1", "sk-1"),
        ("bearer  sk-1", "sk-1"), ("'Bearer sk-1'", "sk-1"), ("bearersk-1", "bearersk-1"),
    ],
)  # fmt: skip
def test_what_comes_along_when_pasting_is_cut_off(text: str, clean: str) -> None:
    assert credentials.clean_secret(text) == clean


@pytest.mark.parametrize(
    "text", ["", " ", '""', "Bearer", "a b", "a\tb", "ü", "x" * 9000]
)
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ServiceError):
        credentials.clean_secret(text)


def test_many_keys_are_taken_and_each_refusal_is_told(acme: Provider) -> None:
    text = f"sk-new-0123456789\n\n{SECRET}\ntwo words\nsk-other-0123456789\n"
    added, refused = credentials.add_keys(CLI, acme, text)
    assert len(added) == 2
    assert [line.partition(":")[0] for line in refused] == ["Line 3", "Line 4"]
    assert SECRET not in str(refused)


def test_headers_are_named_in_the_trail_but_not_told(acme: Provider) -> None:
    providers.update_provider(CLI, acme, headers={"x-team": "hush-hush"})
    event = AuditEvent.objects.order_by("-id")[0]
    assert event.after == {"headers": ["x-team"]}
    assert "hush" not in str(event.__dict__)


def test_name_of_a_removed_provider_is_free_again(acme: Provider) -> None:
    providers.remove_provider(CLI, acme)
    again = factories.make_provider("acme")
    assert again.pk != acme.pk
    assert AuditEvent.objects.filter(action="provider.remove").count() == 1
    with pytest.raises(ServiceError, match="removed"):
        providers.update_provider(CLI, acme, priority=1)
    with pytest.raises(ServiceError, match="removed"):
        models.add_models(CLI, acme, ["x"])


def test_catalogue_fills_what_is_absent_and_yields_to_what_is_said() -> None:
    plain = providers.create_provider(CLI, slug="a", catalogue_id="groq")
    assert (plain.name, plain.type) == ("Groq", "builtin")
    own = providers.create_provider(
        CLI,
        slug="b",
        catalogue_id="groq",
        name="Mine",
        base_url="https://x.example.com",
    )
    assert (own.name, own.base_url) == ("Mine", "https://x.example.com")
    with pytest.raises(ServiceError, match="no nope"):
        providers.create_provider(CLI, slug="c", catalogue_id="nope")


@pytest.mark.parametrize(
    "slug", ["", "-a", "a b", "a/b", "ä", "a\n", "x" * 65, "a\x00"]
)
def test_bad_id_is_refused(slug: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        providers.create_provider(CLI, slug=slug, base_url="https://x.example.com")
    assert refusal.value.field == "slug"


def test_test_by_a_person_is_in_the_trail(acme: Provider) -> None:
    last = AuditEvent.objects.count()
    providers.record_test(acme, error="x" * 500)
    assert AuditEvent.objects.count() == last
    providers.record_test(acme, error="", actor=CLI)
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.action, event.result) == ("provider.test", "ok")


def test_models_known_already_stay_as_they_are(acme: Provider) -> None:
    row = acme.models.get(model_id="m")
    models.set_model_enabled(CLI, row, enabled=False)
    assert [each.model_id for each in models.add_models(CLI, acme, ["m", " n "])] == [
        "n"
    ]
    assert not acme.models.get(model_id="m").enabled
    models.remove_model(CLI, row)
    models.remove_model(CLI, row)
    with pytest.raises(ServiceError, match="removed"):
        models.set_model_enabled(CLI, row, enabled=True)
    assert len(models.add_models(CLI, acme, ["m"])) == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x00b", "a\nb"])
def test_bad_model_name_is_refused(name: str, acme: Provider) -> None:
    with pytest.raises(ServiceError):
        models.add_models(CLI, acme, ["good", name])
    assert acme.models.count() == 2


def test_alias_reads_provider_and_model_or_a_whole_id(acme: Provider) -> None:
    alias = models.set_alias(CLI, "best", ["acme/m", "a/b"])
    assert models.targets_of(alias) == [("m", "acme"), ("a/b", "")]
    models.set_alias(CLI, "best", ["a/b"], description="one")
    assert models.targets_of(Alias.objects.get()) == [("a/b", "")]


@pytest.mark.parametrize(
    "targets", [[], ["nope"], ["acme/nope"], ["nope/m"], ["m", "m"], ["m"] * 101, [""]]
)
def test_bad_targets_are_refused(targets: list[str], acme: Provider) -> None:
    with pytest.raises(ServiceError):
        models.set_alias(CLI, "best", targets)
    assert not Alias.objects.exists()


def test_onboarding_fails_whole() -> None:
    new = onboard.NewProvider(
        slug="acme",
        values={"base_url": "https://acme.example.com"},
        secrets=[SECRET, "two words"],
        models=["m"],
    )
    with pytest.raises(ServiceError):
        onboard.save_new(CLI, new, None)
    assert not Provider.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "values",
    [{}, {"base_url": "ftp://x"}, {"base_url": "https://x.co", "api_format": "nope"},
     {"base_url": "https://x.co", "nope": 1}],
)  # fmt: skip
def test_trying_what_cannot_be_sent_is_a_failed_stage(values: dict[str, Any]) -> None:
    result = onboard.try_new(onboard.NewProvider("x", values=values, secrets=[SECRET]))
    assert not result.ok
    assert result.error


def test_lists_cost_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    for number in range(5):
        made = factories.make_provider(
            f"p{number}", models=["a", "b"], keys=[f"sk-{number}-0123456789"]
        )
        models.set_alias(CLI, f"alias{number}", [f"p{number}/a"])
    with django_assert_num_queries(1):
        rows = selectors.provider_table()
    assert [(row["keys"], row["models"]) for row in rows] == [(1, 2)] * 5
    with django_assert_num_queries(2):
        selectors.provider_facts(made)
    with django_assert_num_queries(2):
        selectors.alias_table()
    with django_assert_num_queries(4):
        selectors.models_with_prices(made)


def test_state_of_a_provider_in_one_word(acme: Provider) -> None:
    def word() -> str:
        [row] = selectors.provider_table()
        return str(row["state"])

    assert word() == "healthy"
    providers.record_test(acme, error="refused")
    assert word() == "degraded"
    credentials.set_key_enabled(CLI, acme.api_keys.get(), enabled=False)
    assert word() == "invalid_key"
    providers.set_enabled(CLI, acme, enabled=False)
    assert word() == "disabled"


@pytest.mark.usefixtures("acme")
def test_a_new_alias_replaces_none() -> None:
    models.set_alias(CLI, "fast", ["m"], is_new=True)
    with pytest.raises(ServiceError, match="already"):
        models.set_alias(CLI, " fast ", ["acme/m"], is_new=True)
    [target] = Alias.objects.get(name="fast").targets.all()
    assert target.provider_slug == ""
