"""Judge how a provider is spoken to: further dialects, credentials, cloud settings."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any, Final

from poolsite.columns import is_plain
from poolsite.destinations import EgressRefusedError, origin_of
from providers.formats import registry
from providers.formats.cli_backed.command import PROGRAMS, is_program
from providers.models import Provider
from providers.services.errors import ServiceError

AUTH_SCHEMES: Final = {
    "": "As the wire format says",
    "bearer": "Authorization: Bearer",
    "x-api-key": "x-api-key header",
    "x-goog-api-key": "x-goog-api-key header",
    "api-key": "api-key header",
    "sigv4": "AWS signature (access key:secret key)",
    "google-sa": "Google service account (JSON)",
    "entra": "Microsoft Entra (tenant:client:secret)",
    "none": "No credential",
}
FORMAT_NAMES: Final = {
    "anthropic": "Anthropic messages",
    "azure": "Azure OpenAI",
    "bedrock": "AWS Bedrock Converse",
    "bedrock-invoke": "AWS Bedrock Invoke (Claude)",
    "claude-cli": "Claude CLI on this machine",
    "cloudcode": "Google Code Assist",
    "codex": "ChatGPT Codex backend",
    "codex-cli": "Codex CLI on this machine",
    "copilot": "GitHub Copilot",
    "google": "Google Gemini",
    "ollama": "Ollama, its own API",
    "openai": "OpenAI chat completions",
    "responses": "OpenAI responses",
    "vertex": "Google Vertex AI",
}
"""What people call the formats; a plugin's is called by its id."""

OPTIONS: Final = {
    "region": "AWS region",
    "project": "Google Cloud project",
    "location": "Google Cloud location",
    "api_version": "Azure API version",
    "deployment": "Azure deployment, where it is not the model's name",
    "scope": "OAuth scope",
    "token_url": "Token endpoint, where it is not the vendor's",
    "executable": "Program, where it is not the one on PATH",
    "workspace": "Directory a program works in; default: an empty one",
    "home": "Home directory a program finds its login in; default: an empty one",
}
"""What a cloud may need beside a key, and a program to run."""

_OF_PROGRAMS: Final = ("executable", "workspace", "home")

_LONGEST: Final = 300
_HERE: Final = PurePath(".")


def check_speech(provider: Provider) -> None:
    """Refuse what no provider can be spoken to with.

    Errors:  ServiceError naming the field.
    """
    if provider.auth_scheme not in AUTH_SCHEMES:
        known = ", ".join(name for name in AUTH_SCHEMES if name)
        raise ServiceError(
            f"Credentials are sent as one of {known}.", field="auth_scheme"
        )
    _check_texts("options", provider.options)
    for name in provider.options:
        if name not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise ServiceError(
                f"{name} is no option; there are {known}.", field="options"
            )
    _check_program(provider)
    _check_texts("other_formats", provider.other_formats)
    for name, url in provider.other_formats.items():
        _check_other(name, url, provider.base_url)


def _check_program(provider: Provider) -> None:
    """Refuse what a program cannot be, and programs beside an address."""
    own = PROGRAMS.get(provider.api_format)
    if own is None:
        for name in _OF_PROGRAMS:
            if name in provider.options:
                raise ServiceError(
                    f"{name} is for {' and '.join(PROGRAMS)} only.", field="options"
                )
        return
    if provider.other_formats:
        raise ServiceError(
            f"{provider.api_format} is a program; it has no other formats.",
            field="other_formats",
        )
    for name in ("workspace", "home"):
        place = provider.options.get(name, "")
        if place and not os.path.isabs(place):
            raise ServiceError(f"The {name} is an absolute path.", field="options")
    path = PurePath(provider.options.get("executable", "") or own)
    # Not a guard against who may write files here, but against running any program.
    if not path.name.startswith(own) or not (
        path.is_absolute() or path.parent == _HERE
    ):
        raise ServiceError(
            f"The executable is {own}, or the absolute path of one called so.",
            field="options",
        )


def _check_other(name: str, url: str, base_url: str) -> None:
    if is_program(name):
        raise ServiceError(
            f"{name} is a program; make a provider of its own for it.",
            field="other_formats",
        )
    if name not in registry.formats():
        known = ", ".join(sorted(registry.formats()))
        raise ServiceError(
            f"This version speaks {known} to a provider.", field="other_formats"
        )
    if url and not is_same_origin(url, base_url):
        raise ServiceError(
            "Another format's address is on the base URL's host: keys go nowhere else.",
            field="other_formats",
        )


def is_same_origin(url: str, other: str) -> bool:
    """Tell whether two addresses are of one origin; what is no address is of none."""
    try:
        return origin_of(url) == origin_of(other)
    except (ValueError, EgressRefusedError):
        return False


def _check_texts(field: str, values: Any) -> None:
    if not isinstance(values, dict):
        raise ServiceError("These are names with texts.", field=field)
    for name, value in values.items():
        is_text = isinstance(value, str) and len(value) <= _LONGEST and is_plain(value)
        if not isinstance(name, str) or not is_text:
            raise ServiceError(f"{name} is not one line of plain text.", field=field)
