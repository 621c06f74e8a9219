"""Providers that are programs: how they are added, judged, shown and tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from poolsite.actor import CLI
from providers.discovery import check
from providers.models import Provider
from providers.proxy.plan import PROGRAMS_OFF
from providers.services import credentials, models, providers
from providers.services.errors import ServiceError
from providers.services.explain import explain
from providers.snapshot import records
from tests.providers.proxy.standin import claude

pytestmark = pytest.mark.django_db


def make(**values: Any) -> Provider:
    """Add a program as a provider."""
    return providers.create_provider(
        CLI, **{"slug": "mine", "api_format": "claude-cli", **values}
    )


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let providers be programs."""
    config = msgspec.structs.replace(settings.CONFIG, cli_providers=True)
    monkeypatch.setattr(settings, "CONFIG", config)


def test_the_command_line_adds_one_without_an_address() -> None:
    call_command(
        "provider", "add", "mine", "--format", "codex-cli", "--model", "codex-cli"
    )
    row = Provider.objects.get(slug="mine")
    assert row.base_url == "cli:codex"
    call_command("provider", "set", "mine", "--option", "workspace=/srv/work")
    row.refresh_from_db()
    assert row.options == {"workspace": "/srv/work"}


def test_a_program_needs_no_key_and_is_its_own_origin() -> None:
    record = records.provider_record(make(), [], [])
    assert record is not None
    assert not record.needs_key
    assert (record.base_url, record.origin) == ("cli:claude", "cli:claude")


def test_a_program_takes_no_key() -> None:
    with pytest.raises(ServiceError, match="login of its own"):
        credentials.add_key(CLI, make(), "sk-a-key-that-goes-nowhere")


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "https://models.example.com/v1"},
        {"base_url": "cli:codex"},
        {"options": {"workspace": "relative/path"}},
        {"options": {"home": "~"}},
        {"options": {"executable": "/bin/sh"}},
        {"options": {"executable": "bin/claude"}},
        {"options": {"executable": "/usr/bin/codex"}},
        {"other_formats": {"openai": ""}},
    ],
)
def test_what_a_program_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ServiceError):
        make(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "cli:claude"},
        {"options": {"executable": "/usr/bin/claude"}},
        {"other_formats": {"claude-cli": ""}},
    ],
)
def test_an_address_is_no_program(values: dict[str, Any]) -> None:
    at = {"api_format": "openai", "base_url": "https://models.example.com/v1"}
    with pytest.raises(ServiceError):
        make(**{**at, **values})


@pytest.mark.parametrize(
    "executable", ["/opt/claude-2/bin/claude", "claude", "claude-next"]
)
def test_a_program_of_its_name_may_be_anywhere(executable: str) -> None:
    assert make(options={"executable": executable}).options


def test_one_becomes_an_address_only_with_a_real_one() -> None:
    row = make()
    with pytest.raises(ServiceError):
        providers.update_provider(CLI, row, api_format="openai")
    providers.update_provider(
        CLI, row, api_format="openai", base_url="https://models.example.com/v1"
    )
    providers.update_provider(CLI, row, api_format="claude-cli")
    row.refresh_from_db()
    assert row.base_url == "cli:claude"


def test_they_are_off_by_default_and_the_reason_is_shown() -> None:
    assert not records.settings_record().cli_providers
    models.add_models(CLI, make(), ["claude-code"])
    (verdict,) = explain("claude-code").candidates
    assert (verdict.verdict, verdict.reason) == ("skipped", PROGRAMS_OFF)


def test_the_owner_of_the_machine_switches_them_on(switched_on: None) -> None:
    assert records.settings_record().cli_providers
    models.add_models(CLI, make(), ["claude-code"])
    (verdict,) = explain("claude-code").candidates
    assert verdict.verdict == "next"


def test_trying_one_looks_for_the_program_and_runs_nothing(
    switched_on: None, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    executable = claude(tmp_path, before=f"open({str(mark)!r}, 'w')")
    result = check.check_provider(make(options={"executable": executable}))
    assert result.ok
    assert result.models == ["claude-code"]
    assert not mark.exists()


def test_trying_one_that_is_missing_says_so(switched_on: None) -> None:
    row = make(options={"executable": "/nowhere/claude"})
    assert "no program claude" in check.check_provider(row).error


def test_trying_one_while_they_are_off_names_the_switch() -> None:
    make()
    with pytest.raises(CommandError, match="POOL_CLI_PROVIDERS"):
        call_command("provider", "test", "mine")
