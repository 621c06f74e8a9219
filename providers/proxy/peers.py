"""See through trusted proxies to the client's own address and scheme."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

from providers.proxy.exchange import Message

_MOST_HOPS: Final = 20


class Peers:
    """Who is calling.

    Shapes:  ``trusted`` are addresses and networks of proxies in front; from anybody
             else X-Forwarded-* is not listened to. The address found grants nothing.
    Errors:  ValueError for an entry that is no address.
    """

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(ip_network(entry, strict=False) for entry in trusted)
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def client_of(self, scope: Message, fields: dict[bytes, bytes]) -> str:
        """Return the client's address: the nearest hop no trusted proxy stands for."""
        peer = _peer(scope)
        if not self._networks or not self._is_trusted(peer):
            return peer
        hops = fields.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop)
            if not address:
                break
            peer = address
            if not self._is_trusted(address):
                break
        return peer

    def scheme_of(self, scope: Message, fields: dict[bytes, bytes]) -> str:
        """Return the scheme the client used."""
        if self._networks and self._is_trusted(_peer(scope)):
            said = fields.get(b"x-forwarded-proto", b"").strip().lower()
            if said in (b"http", b"https"):
                return said.decode()
        return str(scope.get("scheme", "http"))

    def _look_up(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        found = mapped or found
        return any(
            network.version == found.version and found in network
            for network in self._networks
        )


def _peer(scope: Message) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _address(hop: str) -> str:
    """Return the address of a hop without its port, "" when it is none."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
