"""Decide where the product may connect: one parser, one list, one verdict.

Pure: no socket is opened and no name resolved here. ``check_url`` judges the text with
the parser the data plane's client itself uses, ``check_address`` judges the address
that is really about to be connected; the second verdict is the one that protects, the
first gives the earlier and friendlier refusal.

Error tree: EgressError > EgressRefusedError (the policy said no) > OriginMismatchError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

import yarl

from poolsite.addresses import IPAddress, Reach, embedded_addresses, reach_of

__all__ = [
    "Category",
    "Destination",
    "EgressError",
    "EgressRefusedError",
    "HostPort",
    "NotConnectedError",
    "OriginMismatchError",
    "Scope",
    "Vetter",
    "host_port_of",
    "is_policy_refusal",
    "origin_of",
    "parse_host_port",
    "parse_url",
    "require_origin",
]

HostPort = tuple[str, int]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FORBIDDEN_TEXT: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\#]|\s")
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_URL: Final = 4096
_LONGEST_HOST: Final = 253
_METADATA_NAMES: Final = (
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
)
_METADATA_SUFFIXES: Final = tuple(f".{name}" for name in _METADATA_NAMES)
# Where each cloud's identity adapter asks for a token; nothing else there is open.
_METADATA_PATHS: Final = {
    "aws": (
        ("169.254.169.254", "/latest/api/token"),
        ("169.254.169.254", "/latest/meta-data/iam/security-credentials/"),
        ("169.254.170.2", "/v2/credentials/"),
        ("169.254.170.23", "/v1/credentials"),
    ),
    "azure": (("169.254.169.254", "/metadata/identity/oauth2/token"),),
    "gcp": (
        ("169.254.169.254", "/computeMetadata/v1/instance/service-accounts/default/"),
    ),
}
_REFUSED_ERRNO: Final = 7_001


class Category(StrEnum):
    """Why a call did not come through, in words a screen may show."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    AUTH = "auth"
    TIMEOUT = "timeout"
    RESET = "reset"
    TOO_LARGE = "too_large"
    REFUSED_BY_POLICY = "refused_by_policy"


class EgressError(Exception):
    """An outbound call failed; ``category`` is all a stranger may learn."""

    def __init__(self, category: Category, message: str) -> None:
        super().__init__(message)
        self.category = category


class NotConnectedError(EgressError):
    """No connection came about, in time or at all: not a byte was sent."""


class EgressRefusedError(EgressError, OSError):
    """The policy refuses this destination; nothing was sent.

    It is an OSError so that the connecting code of the HTTP clients treats it as a
    failed address. Its number is our own: when several addresses of one name are
    refused, the clients fold the errors into one and keep only the number.
    """

    def __init__(self, message: str) -> None:
        EgressError.__init__(self, Category.REFUSED_BY_POLICY, message)
        self.errno = _REFUSED_ERRNO
        self.strerror = message

    def __str__(self) -> str:
        return str(self.strerror)


class OriginMismatchError(EgressRefusedError):
    """A secret was about to travel to another address than the one it is bound to."""

    def __init__(self) -> None:
        super().__init__(
            "The stored secret is bound to another address; enter it again for this one."
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a connection may reach beyond public addresses: one host and port."""

    host: str
    port: int
    is_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that passed, and the scope in which its connection is judged.

    Shapes: origin is ``scheme://host:port``; scope None means public addresses only;
        pool names a set of idle connections kept apart from the shared one.
    """

    url: yarl.URL
    host: str
    port: int
    origin: str
    scope: Scope | None = None
    pool: str = ""


def is_policy_refusal(error: OSError) -> bool:
    """Tell our own refusal, also after a client folded several into one error."""
    return isinstance(error, EgressRefusedError) or error.errno == _REFUSED_ERRNO


def parse_url(url: str | yarl.URL) -> Destination:
    """Read a URL the only way this product reads one.

    Errors: EgressRefusedError for any scheme but http and https, user-info, a
        fragment, a backslash, control characters or spaces, a host that is no plain
        name or canonical address, and port 0.
    Cost:   a dictionary look-up for a URL seen lately.
    """
    text = url if isinstance(url, str) else str(url)
    if "?" in text:
        # A query may hold what should not stay in a cache.
        return _parse(text)
    return _parse_cached(text)


def origin_of(url: str | yarl.URL) -> str:
    """Return ``scheme://host:port``, normalised, the port always written.

    Errors: as ``parse_url``.
    """
    return parse_url(url).origin


def host_port_of(url: str | yarl.URL) -> HostPort:
    """Return the exact host and port of a URL, as an allowance names them.

    Errors: as ``parse_url``.
    """
    parsed = parse_url(url)
    return parsed.host, parsed.port


def parse_host_port(text: str) -> HostPort:
    """Read ``host:port`` as an operator writes it; IPv6 in brackets.

    Errors: ValueError naming the text.
    """
    if "/" in text or ":" not in text.rpartition("]")[2]:
        raise ValueError(f"{text!r} is not host:port")
    try:
        return host_port_of(f"http://{text}")
    except EgressRefusedError as exc:
        raise ValueError(f"{text!r} is not host:port") from exc


def require_origin(destination: Destination | str | yarl.URL, origin: str) -> None:
    """Refuse to send a secret anywhere but to the origin it is bound to.

    Errors: OriginMismatchError.
    """
    parsed = (
        destination if isinstance(destination, Destination) else parse_url(destination)
    )
    if parsed.origin != origin:
        raise OriginMismatchError


class Vetter:
    """The policy: public addresses, and what the operator or a provider allows.

    Shapes: allow_private holds ``host:port`` and networks in CIDR form, for
        everybody; cloud_metadata names the clouds whose identity adapters may ask.
    Errors: ValueError naming the entry that cannot be read.
    """

    def __init__(
        self, allow_private: Iterable[str] = (), cloud_metadata: Iterable[str] = ()
    ) -> None:
        networks = []
        hosts: set[HostPort] = set()
        for entry in allow_private:
            if "/" in entry:
                networks.append(ipaddress.ip_network(entry.strip(), strict=False))
            else:
                hosts.add(parse_host_port(entry.strip()))
        self._networks = tuple(networks)
        self._hosts = frozenset(hosts)
        # A literal in the list holds for every name that leads to that address.
        self._literals = frozenset(
            (address, port)
            for host, port in hosts
            if (address := _literal(host)) is not None
        )
        self._clouds = frozenset(cloud_metadata)
        unknown = self._clouds - _METADATA_PATHS.keys()
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is not a known cloud")

    def check_url(
        self, url: str | yarl.URL, allowed: frozenset[HostPort] = frozenset()
    ) -> Destination:
        """Judge a URL and fix the scope its connection will be judged in.

        Shapes: allowed holds the exact host and port pairs of one provider.
        Errors: EgressRefusedError. A name that passes here may still be refused when
            its address is known.
        """
        parsed = parse_url(url)
        if f".{parsed.host}".endswith(_METADATA_SUFFIXES):
            raise EgressRefusedError("Cloud metadata addresses are never reached.")
        pair = (parsed.host, parsed.port)
        scope = None
        if pair in allowed or pair in self._hosts:
            scope = Scope(*pair)
        address = _literal(parsed.host)
        if address is not None:
            self.check_address(address, parsed.port, scope)
        if scope is None:
            return parsed
        return replace(parsed, scope=scope)

    def check_metadata_url(self, cloud: str, url: str | yarl.URL) -> Destination:
        """Judge a URL of a cloud's identity service: fixed addresses and paths only.

        Errors: EgressRefusedError, also when the operator did not name the cloud.
        """
        parsed = parse_url(url)
        known = cloud in self._clouds and any(
            parsed.host == host
            and parsed.port == _DEFAULT_PORTS["http"]
            and parsed.url.raw_path.startswith(path)
            for host, path in _METADATA_PATHS[cloud]
        )
        if not known or ".." in parsed.url.raw_path:
            raise EgressRefusedError("Cloud metadata addresses are never reached.")
        scope = Scope(parsed.host, parsed.port, is_metadata=True)
        return replace(parsed, scope=scope)

    def check_address(
        self, address: str | IPAddress, port: int, scope: Scope | None = None
    ) -> None:
        """Judge the address a socket is about to connect to.

        Errors: EgressRefusedError; its message names no address, so that several
            refusals of one name read as one.
        """
        if isinstance(address, str):
            address = ipaddress.ip_address(address.partition("%")[0])
        reach = reach_of(address)
        if reach is Reach.PUBLIC:
            return
        if reach is Reach.NEVER:
            if scope and scope.is_metadata and str(address) == scope.host:
                return
            raise EgressRefusedError("This address is never reached.")
        if not self._is_private_allowed(address, port, scope):
            raise EgressRefusedError(
                "This is a private address; allow it for the provider or in "
                "POOL_ALLOW_PRIVATE."
            )

    def _is_private_allowed(
        self, address: IPAddress, port: int, scope: Scope | None
    ) -> bool:
        if scope and not scope.is_metadata and scope.port == port:
            return True
        spellings = (address, *embedded_addresses(address))
        return any(
            (spelling, port) in self._literals
            or any(spelling in network for network in self._networks)
            for spelling in spellings
        )


def _parse(text: str) -> Destination:
    if len(text) > _LONGEST_URL or _FORBIDDEN_TEXT.search(text):
        raise EgressRefusedError(
            "A URL holds no spaces, control characters, backslash or fragment."
        )
    try:
        url = yarl.URL(text)
        host, port = url.raw_host, url.port
    except (ValueError, UnicodeError) as exc:
        raise EgressRefusedError("The URL cannot be read.") from exc
    if url.scheme not in _DEFAULT_PORTS:
        raise EgressRefusedError("A URL starts with http:// or https://.")
    if "@" in url.raw_authority:
        raise EgressRefusedError("A URL holds no user name and no password.")
    if not host or not port:
        raise EgressRefusedError("The URL names no host or an impossible port.")
    host = _canonical_host(host)
    shown = f"[{host}]" if ":" in host else host
    url = _with_colons_as_spelt(text, url)
    return Destination(url, host, port, f"{url.scheme}://{shown}:{port}")


def _with_colons_as_spelt(text: str, url: yarl.URL) -> yarl.URL:
    """Keep ``%3A`` in a path: yarl writes a colon, and a signed path must stay.

    Only these three characters are put back; host, port and query are the parsed ones.
    """
    if "%3A" not in text or url.query_string:
        return url
    spelt = yarl.URL(text, encoded=True).raw_path
    if spelt.replace("%3A", ":") != url.raw_path:
        return url
    return url.with_path(spelt, encoded=True)


_parse_cached = lru_cache(maxsize=4096)(_parse)


def _canonical_host(host: str) -> str:
    """Return a plain ASCII name or a canonical address, or refuse.

    A name whose last label is a number is an address in disguise (``127.1``,
    ``0x7f000001``, ``2130706433``): system resolvers accept it, so it is refused
    unless it is the usual dotted form.
    """
    refusal = EgressRefusedError("The host of the URL is not a plain name or address.")
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError as exc:
            raise refusal from exc
        if address.scope_id is not None:
            raise refusal
        return str(address)
    if len(host) > _LONGEST_HOST or not _HOST_NAME.fullmatch(host):
        raise refusal
    if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as exc:
            raise refusal from exc
    return host


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
