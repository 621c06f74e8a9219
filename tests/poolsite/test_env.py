"""Prove that the environment is read whole, and refused in a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from poolsite import env
from poolsite.config import Config

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in env.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_nothing_has_to_be_set() -> None:
    config = env.load()
    assert (config.host, config.port, config.durability) == ("127.0.0.1", 8080, "group")
    assert Path(config.data_dir).is_absolute()


def test_everything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "POOL_PORT": "9", "POOL_ALLOW_PRIVATE": " 10.0.0.0/8 , 127.0.0.1:11434 ,",
        "POOL_TRUSTED_PROXIES": "10.0.0.1,fd00::/8", "POOL_PUBLIC_URL": "https://a.b ",
        "POOL_CLOUD_METADATA": "aws, gcp", "REDIS_URL": "redis://x/0",
        "POOL_DURABILITY": "always", "POOL_SNAPSHOT_MAX_AGE_S": "60",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    config = env.load()
    assert config.allow_private == ("10.0.0.0/8", "127.0.0.1:11434")
    assert config.trusted_proxies == ("10.0.0.1", "fd00::/8")
    assert config.public_url == "https://a.b"
    assert config.cloud_metadata == ("aws", "gcp")
    assert (config.port, config.snapshot_max_age_s) == (9, 60)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POOL_PORT", "x"), ("POOL_PORT", ""), ("POOL_PORT", "0"), ("POOL_PORT", "70000"),
        ("POOL_DURABILITY", "never"), ("POOL_LIMITS", "loose"),
        ("POOL_SNAPSHOT_MAX_AGE_S", "-1"), ("POOL_CLOUD_METADATA", "ibm"),
        ("POOL_ALLOW_PRIVATE", "10.0.0.0/99"), ("POOL_ALLOW_PRIVATE", "localhost"),
        ("POOL_TRUSTED_PROXIES", "proxy.example.com"), ("POOL_PUBLIC_URL", "pool.co"),
        ("POOL_PUBLIC_URL", "https://"), ("DATABASE_URL", "mysql://secret@x/y"),
        ("REDIS_URL", "http://secret@x"),
    ],
)  # fmt: skip
def test_bad_value_is_refused_with_its_name_and_no_secret(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refusal:
        env.load()
    assert name in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"),
        ("pool.lan", "http://pool.lan:80"),
    ],
)  # fmt: skip
def test_own_url_can_be_opened(host: str, url: str) -> None:
    assert Config(host=host, port=80).effective_public_url == url
    public = Config(host=host, port=80, public_url="https://pool.example.com/")
    assert public.effective_public_url == "https://pool.example.com"


def test_table_in_the_readme_lists_every_variable_as_it_is() -> None:
    text = README.read_text(encoding="utf-8")
    _, _, table = text.partition("| Variable | Default | What it does |\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    told = {name: (default.strip("`"), text) for name, default, text in rows}
    assert list(told) == list(env.VARIABLES)
    for name, (kind, default, text) in env.VARIABLES.items():
        shown = "generated into a 0600 file" if kind == "root" else str(default or "-")
        if kind == "int":
            shown = str(default)
        if kind == "bool":
            shown = "on" if default else "-"
        assert told[name] == (shown, text)


@pytest.mark.parametrize(
    ("text", "is_on"), [("true", True), ("1", True), ("off", False), ("", False)]
)
def test_programs_as_providers_are_off_unless_switched_on(
    monkeypatch: pytest.MonkeyPatch, text: str, is_on: bool
) -> None:
    monkeypatch.setenv("POOL_CLI_PROVIDERS", text)
    assert env.load().cli_providers is is_on


@pytest.mark.parametrize(("text", "is_on"), [("", True), ("off", False), ("on", True)])
def test_public_lists_are_asked_unless_switched_off(
    monkeypatch: pytest.MonkeyPatch, text: str, is_on: bool
) -> None:
    monkeypatch.setenv("POOL_CATALOGUE_REFRESH", text)
    assert env.load().catalogue_refresh is is_on


def test_a_switch_with_a_typing_error_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POOL_CLI_PROVIDERS", "ture")
    with pytest.raises(ImproperlyConfigured, match="true or false"):
        env.load()
