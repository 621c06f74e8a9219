"""Judge what a person enters for a provider, before it is stored."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings

from poolsite.columns import ColumnError, check_columns, is_plain
from poolsite.destinations import (
    EgressRefusedError,
    Vetter,
    host_port_of,
    parse_url,
)
from providers.formats import registry
from providers.formats.cli_backed.command import address_of
from providers.models import Provider
from providers.services.errors import ServiceError
from providers.services.speech import check_speech
from providers.snapshot.types import Timeouts

EDITABLE: Final = frozenset(
    {
        "name", "base_url", "api_format", "location", "priority", "weight", "headers",
        "timeouts", "allow_private", "tls_verify", "model_access", "models_allowed",
        "rpm", "tpm", "concurrency", "billing_on_abort", "description", "website",
        "key_url", "auth_scheme", "options", "other_formats",
    }
)  # fmt: skip
"""What a person may change; everything else is the product's own knowledge."""

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie|api-?key|subscription-key|token|secret|password|signature",
    re.IGNORECASE,
)
# What the proxy itself says of a call; a second opinion would break it.
_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "expect", "host", "keep-alive", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_MOST_HEADERS: Final = 50
_LONGEST_HEADER: Final = 1000
_LONGEST_TIMEOUT_S: Final = 86_400


def check_provider(provider: Provider, names: Iterable[str]) -> None:
    """Refuse values a provider cannot have.

    Errors:  ServiceError naming the field.
    """
    chosen = sorted(names)
    try:
        check_columns(provider, chosen)
    except ColumnError as exc:
        raise ServiceError(str(exc), field=exc.field) from exc
    if provider.api_format not in registry.formats():
        known = ", ".join(sorted(registry.formats()))
        raise ServiceError(
            f"This version speaks {known} to a provider.", field="api_format"
        )
    _check_base_url(provider)
    check_speech(provider)
    for field in ("website", "key_url"):
        _check_link(field, getattr(provider, field))
    _check_numbers(provider)
    check_headers(provider.headers)
    _check_timeouts(provider.timeouts)
    needs_none = provider.model_access != Provider.ModelAccess.ONLY
    if not (needs_none or provider.models_allowed):
        raise ServiceError(
            "Name the models, or choose All or None.", field="models_allowed"
        )
    if not provider.tls_verify and not is_private(provider):
        raise ServiceError(
            "TLS checks stay on for public addresses.", field="tls_verify"
        )


def check_headers(headers: Any) -> None:
    """Refuse headers that are not plain text, ours to say, or secret.

    Headers are shown and exported, so a secret has no place in them.

    Errors:  ServiceError.
    """
    if not isinstance(headers, dict):
        raise ServiceError("Headers are names with texts.", field="headers")
    if len(headers) > _MOST_HEADERS:
        raise ServiceError(f"At most {_MOST_HEADERS} headers.", field="headers")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            raise ServiceError("A header's name has no such letters.", field="headers")
        if name.lower() in _OWN_HEADERS:
            raise ServiceError(f"The proxy sets {name} itself.", field="headers")
        if _SECRET_HEADER.search(name):
            raise ServiceError(
                f"{name} looks like a secret; store it as an API key instead.",
                field="headers",
            )
        is_text = isinstance(value, str) and value.isascii() and is_plain(value)
        if not is_text or len(value) > _LONGEST_HEADER:
            raise ServiceError(
                f"The value of {name} is not one line of plain text.", field="headers"
            )


def is_private(provider: Provider) -> bool:
    """Tell whether the provider's address is one of a private network."""
    if address_of(provider.api_format):
        return True
    host = host_port_of(provider.base_url)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return provider.allow_private


def is_out_of_reach(provider: Provider) -> bool:
    """Tell whether a provider is at a private address nobody allowed.

    Shapes:  names are not resolved here; a public name may still lead to such a one.
    """
    if address_of(provider.api_format) or provider.allow_private:
        return False
    host, port = host_port_of(provider.base_url)
    vetter = Vetter(settings.CONFIG.allow_private, settings.CONFIG.cloud_metadata)
    try:
        destination = vetter.check_url(provider.base_url)
        if host == "localhost":
            vetter.check_address("127.0.0.1", port, destination.scope)
    except EgressRefusedError:
        return True
    return False


def _check_base_url(provider: Provider) -> None:
    url, own = provider.base_url, address_of(provider.api_format)
    if not own:
        check_base_url(url)
    elif url != own:
        raise ServiceError(
            f"{provider.api_format} is a program; its base URL is {own}.",
            field="base_url",
        )


def check_base_url(url: str) -> None:
    """Refuse an address paths cannot be appended to.

    Errors:  ServiceError.
    """
    if not url:
        raise ServiceError("The base URL is missing.", field="base_url")
    if "?" in url:
        raise ServiceError(
            "A base URL holds no query; paths are appended to it.", field="base_url"
        )
    try:
        parse_url(url)
    except EgressRefusedError as exc:
        raise ServiceError(str(exc), field="base_url") from exc


def _check_link(field: str, url: str) -> None:
    # These become links on a screen: no other scheme may run there.
    if url and not url.startswith(("http://", "https://")):
        raise ServiceError("A link starts with https://.", field=field)


def _check_numbers(provider: Provider) -> None:
    if not 0 <= provider.priority <= 100:
        raise ServiceError("The priority is between 0 and 100.", field="priority")
    if not 1 <= provider.weight <= 10_000:
        raise ServiceError("The weight is between 1 and 10000.", field="weight")
    for name in ("rpm", "tpm", "concurrency"):
        if getattr(provider, name) == 0:
            raise ServiceError(
                "A limit is at least 1; leave it out for none.", field=name
            )


def _check_timeouts(timeouts: Any) -> None:
    if not isinstance(timeouts, dict):
        raise ServiceError("Timeouts are names with seconds.", field="timeouts")
    known = Timeouts.__struct_fields__
    for name, value in timeouts.items():
        if name not in known:
            raise ServiceError(
                f"{name} is no timeout; there are {', '.join(known)}.", field="timeouts"
            )
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= _LONGEST_TIMEOUT_S:
            raise ServiceError(
                f"{name} is between 0 and {_LONGEST_TIMEOUT_S} seconds.",
                field="timeouts",
            )
