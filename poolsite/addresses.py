"""Sort IP addresses: public, private, or never to be reached.

The lists are written out instead of asking ``ipaddress.is_global``, whose answers
changed between patch releases of Python. Addresses that carry another one inside
(mapped, 6to4, Teredo, NAT64, ISATAP) are judged by what they lead to.

Source: IANA special-purpose address registries for IPv4 and IPv6; RFC 6052, 4380,
    3056, 5214; metadata addresses from the clouds' own documentation.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(Enum):
    """How far an address may be reached, from freely to not at all."""

    PUBLIC = 0
    PRIVATE = 1
    NEVER = 2


def _v4(*texts: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(map(ipaddress.IPv4Network, texts))


def _v6(*texts: str) -> tuple[ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.IPv6Network, texts))


_NEVER_V4: Final = _v4(
    "0.0.0.0/8",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "192.0.0.192/32",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PRIVATE_V4: Final = _v4(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
)
_NEVER_V6: Final = _v6(
    "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::254/128"
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V6: Final = _v6("2001::/23", "2001:db8::/32", "3fff::/20")
_LOOPBACK_V6: Final = ipaddress.IPv6Address("::1")

# Addresses in these networks are nothing but another address in their last 32 bits.
_CARRIERS: Final = _v6("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_ISATAP_MARKS: Final = (0x00005EFE, 0x02005EFE)
_MASK_32: Final = 0xFFFF_FFFF


def embedded_addresses(address: IPAddress) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address carries, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    number = int(address)
    if any(address in network for network in _CARRIERS) and number > 1:
        return (ipaddress.IPv4Address(number & _MASK_32),)
    if address in _SIX_TO_FOUR:
        return (ipaddress.IPv4Address(number >> 80 & _MASK_32),)
    if address in _TEREDO:
        server = number >> 64 & _MASK_32
        client = ~number & _MASK_32
        return (ipaddress.IPv4Address(server), ipaddress.IPv4Address(client))
    if number >> 32 & _MASK_32 in _ISATAP_MARKS:
        return (ipaddress.IPv4Address(number & _MASK_32),)
    return ()


def reach_of(address: IPAddress) -> Reach:
    """Say how far an address may be reached; of several readings the strictest.

    Cost: a few microseconds; asked once a connection, not once a request.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return _reach_of_v4(address)
    inner = [_reach_of_v4(carried) for carried in embedded_addresses(address)]
    if inner and any(address in network for network in _CARRIERS):
        return inner[0]
    return max([_reach_of_v6(address), *inner], key=lambda reach: reach.value)


def _reach_of_v4(address: ipaddress.IPv4Address) -> Reach:
    if any(address in network for network in _NEVER_V4):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE_V4):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _reach_of_v6(address: ipaddress.IPv6Address) -> Reach:
    if any(address in network for network in _NEVER_V6):
        return Reach.NEVER
    if address == _LOOPBACK_V6 or address not in _GLOBAL_V6:
        return Reach.PRIVATE
    if any(address in network for network in _PRIVATE_V6):
        return Reach.PRIVATE
    return Reach.PUBLIC
