"""Read the environment: every variable of the product, once, loudly.

The table in README.md lists the same names; ``tests/poolsite/test_env.py`` compares
the two.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from poolsite.config import Config
from poolsite.destinations import Vetter

# name in the environment -> (reader of environ.Env, default, what it does)
VARIABLES: dict[str, tuple[str, Any, str]] = {
    "POOL_DATA_DIR": ("str", "./var", "where everything the product writes lives"),
    "DATABASE_URL": ("str", "", "PostgreSQL URL; empty = SQLite in the data directory"),
    "REDIS_URL": ("str", "", "Redis URL for limits, health and the task broker"),
    "POOL_HOST": ("str", "127.0.0.1", "address to bind"),
    "POOL_PORT": ("int", 8080, "port to bind"),
    "POOL_PUBLIC_URL": ("str", "", "the URL people use, when a proxy is in front"),
    "POOL_ALLOWED_HOSTS": ("list", [], "extra host names the console answers to"),
    "POOL_TRUSTED_PROXIES": ("list", [], "addresses whose X-Forwarded-For is believed"),
    "POOL_SECRET_KEY": ("root", "", "Django's signing key"),
    "POOL_ENCRYPTION_KEYS": ("root", "", "Fernet keys, newest first, by comma"),
    "POOL_PEPPERS": ("root", "", "peppers of client keys, newest first, by comma"),
    "POOL_ADMIN_EMAIL": ("str", "", "creates this owner at first start"),
    "POOL_ADMIN_PASSWORD_FILE": ("str", "", "file with that owner's password"),
    "POOL_EMAIL_URL": ("str", "", "SMTP URL for mail"),
    "POOL_DURABILITY": ("str", "group", "journal: os, group or always"),
    "POOL_LIMITS": ("str", "exact", "exact, or approximate for several workers"),
    "POOL_ALLOW_PRIVATE": ("list", [], "private host:port or CIDR anybody may use"),
    "POOL_CLOUD_METADATA": (
        "list",
        [],
        "identity adapters that may ask: aws, azure, gcp",
    ),
    "POOL_SNAPSHOT_MAX_AGE_S": (
        "int",
        0,
        "answer 503 when the snapshot is older; 0 = never",
    ),
    "POOL_CLI_PROVIDERS": (
        "bool",
        False,
        "let providers be programs of this machine (claude-cli, codex-cli)",
    ),
    "POOL_CATALOGUE_REFRESH": (
        "bool",
        True,
        "ask the public lists of models and prices by itself",
    ),
    "POOL_TRIAL_LICENCE": ("str", "", "trial licence text"),
}
_CHOICES = {
    "POOL_DURABILITY": ("os", "group", "always"),
    "POOL_LIMITS": ("exact", "approximate"),
}

_ON = ("1", "true", "yes", "on")
_OFF = ("", "0", "false", "no", "off")
_SCHEMES = {
    "DATABASE_URL": ("postgres", "postgresql", "sqlite"),
    "REDIS_URL": ("redis", "rediss", "unix"),
    "POOL_PUBLIC_URL": ("http", "https"),
}


def load() -> Config:
    """Read the configuration.

    Errors: ImproperlyConfigured with the variable's name and what is allowed.
    """
    values: dict[str, Any] = {}
    for name, (kind, default, _help) in VARIABLES.items():
        if kind != "root":
            values[name] = _read(name, kind, default)
    _check(values)
    return Config(
        data_dir=str(Path(values["POOL_DATA_DIR"]).expanduser().absolute()),
        database_url=values["DATABASE_URL"],
        redis_url=values["REDIS_URL"],
        host=values["POOL_HOST"],
        port=values["POOL_PORT"],
        public_url=values["POOL_PUBLIC_URL"],
        allowed_hosts=tuple(values["POOL_ALLOWED_HOSTS"]),
        trusted_proxies=tuple(values["POOL_TRUSTED_PROXIES"]),
        admin_email=values["POOL_ADMIN_EMAIL"],
        admin_password_file=values["POOL_ADMIN_PASSWORD_FILE"],
        email_url=values["POOL_EMAIL_URL"],
        durability=values["POOL_DURABILITY"],
        limits=values["POOL_LIMITS"],
        allow_private=tuple(values["POOL_ALLOW_PRIVATE"]),
        cloud_metadata=tuple(values["POOL_CLOUD_METADATA"]),
        snapshot_max_age_s=values["POOL_SNAPSHOT_MAX_AGE_S"],
        cli_providers=values["POOL_CLI_PROVIDERS"],
        catalogue_refresh=values["POOL_CATALOGUE_REFRESH"],
    )


def _read(name: str, kind: str, default: object) -> Any:
    reader = environ.Env()
    if kind == "bool":
        text = reader.str(name, default="")
        return _switch(name, text) if text.strip() else default
    try:
        value = getattr(reader, kind)(name, default=default)
    except ValueError as exc:
        raise ImproperlyConfigured(
            f"{name} is {os.environ[name]!r}; it must be a whole number"
        ) from exc
    if kind == "list":
        return [part.strip() for part in value if part.strip()]
    return value.strip() if kind == "str" else value


def _switch(name: str, text: str) -> bool:
    """Read on or off; a typing error must not read as either."""
    word = text.strip().lower()
    if word not in (*_ON, *_OFF):
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be true or false")
    return word in _ON


def _check(values: dict[str, Any]) -> None:
    for name, allowed in _CHOICES.items():
        if values[name] not in allowed:
            raise ImproperlyConfigured(
                f"{name} is {values[name]!r}; it must be one of {', '.join(allowed)}"
            )
    if not 0 < values["POOL_PORT"] < 65536:
        raise ImproperlyConfigured("POOL_PORT must be between 1 and 65535")
    if values["POOL_SNAPSHOT_MAX_AGE_S"] < 0:
        raise ImproperlyConfigured("POOL_SNAPSHOT_MAX_AGE_S must be 0 or more")
    for name, schemes in _SCHEMES.items():
        _check_url(name, values[name], schemes)
    _check_addresses(values)


def _check_url(name: str, url: str, schemes: tuple[str, ...]) -> None:
    # The value is not repeated: it may hold a password.
    parts = urlsplit(url)
    if not url:
        return
    if parts.scheme not in schemes:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ImproperlyConfigured(f"{name} must start with {allowed}")
    if parts.scheme.startswith("http") and not parts.hostname:
        raise ImproperlyConfigured(f"{name} names no host")


def _check_addresses(values: dict[str, Any]) -> None:
    try:
        Vetter(values["POOL_ALLOW_PRIVATE"])
    except ValueError as exc:
        raise ImproperlyConfigured(f"POOL_ALLOW_PRIVATE: {exc}") from exc
    for address in values["POOL_TRUSTED_PROXIES"]:
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError as exc:
            raise ImproperlyConfigured(f"POOL_TRUSTED_PROXIES: {exc}") from exc
    unknown = set(values["POOL_CLOUD_METADATA"]) - {"aws", "azure", "gcp"}
    if unknown:
        raise ImproperlyConfigured(
            f"POOL_CLOUD_METADATA knows aws, azure, gcp; not {', '.join(sorted(unknown))}"
        )


def export(config: Config) -> None:
    """Put the values a child reads again into its environment.

    Only what the command line may override; roots never travel this way.
    """
    os.environ["POOL_DATA_DIR"] = config.data_dir
    os.environ["POOL_HOST"] = config.host
    os.environ["POOL_PORT"] = str(config.port)
