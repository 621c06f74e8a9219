"""Ways to write a forbidden address, for the tests that must not reach it."""

# ruff: noqa: RUF001 - look-alike characters are the subject

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

LOOPBACKS = ("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
MATH_BOLD = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
IDEOGRAPHIC_DOTS = ("。", "．", "｡")


def v4_hosts(address: str) -> Iterator[str]:
    """Write one IPv4 address in every way some parser reads."""
    parts = [int(part) for part in address.split(".")]
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = parts
    yield address
    yield f"{address}."
    yield f"{address}.."
    yield str(number)
    yield f"{number}."
    yield f"0{number:o}"
    yield f"0x{number:x}"
    yield f"0X{number:08X}"
    yield f"0x{number:x}."
    yield f"0x00000000{number:08x}"
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(f"{part:04o}" for part in parts)
    yield ".".join(f"0x{part:x}" for part in parts)
    yield ".".join(f"0x{part:02X}" for part in parts)
    yield f"0x{a:x}.{b}.0{c:o}.{d}"
    yield f"{a}.{(b << 16) + (c << 8) + d}"
    yield f"{a}.{b}.{(c << 8) + d}"
    yield f"0x{a:x}.{(b << 16) + (c << 8) + d}"
    yield f"{a:03d}.{b:03d}.{c:03d}.{d:03d}"
    yield str(number + 2**32)
    for table in (CIRCLED, FULL_WIDTH, MATH_BOLD, SUPERSCRIPT):
        yield address.translate(table)
        yield str(number).translate(table)
    for dot in IDEOGRAPHIC_DOTS:
        yield address.replace(".", dot)
        yield address.translate(CIRCLED).replace(".", dot)
    yield "".join(f"%{ord(char):02x}" for char in address)
    yield address.replace(".", "%2e")
    yield f"{address}%00.example.com"
    yield f"{address}\u00ad"
    yield f"{address}\u200b"
    yield f"\u2060{address}"
    yield f"{address}\t"
    yield f"{a}.\n{b}.{c}.{d}"


def v6_hosts(address: str) -> Iterator[str]:
    """Write one IPv4 address inside IPv6 in every carrier."""
    number = int(ipaddress.IPv4Address(address))
    high, low = number >> 16, number & 0xFFFF
    flipped = number ^ 0xFFFF_FFFF
    for prefix in ("::ffff:", "::", "::ffff:0:", "64:ff9b::", "0:0:0:0:0:ffff:"):
        yield f"[{prefix}{address}]"
        yield f"[{prefix}{high:x}:{low:x}]"
    yield f"[::FFFF:{address}]"
    yield f"[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}]"
    yield f"[2002:{high:x}:{low:x}::]"
    yield f"[2002:{high:x}:{low:x}::1]"
    yield f"[2001:0:{high:x}:{low:x}::]"
    yield f"[2001:0:808:808::{flipped >> 16:x}:{flipped & 0xFFFF:x}]"
    yield f"[64:ff9b:1::{high:x}:{low:x}]"
    yield f"[2620::5efe:{high:x}:{low:x}]"
    yield f"[fe80::5efe:{high:x}:{low:x}]"
    yield f"[::ffff:{address}%25lo]"
    yield f"[::ffff:{address}%lo]"


def loopback_urls(port: int) -> list[str]:
    """Return several hundred URLs, each meant to lead to this machine."""
    hosts = [host for address in LOOPBACKS for host in v4_hosts(address)]
    hosts += [host for address in LOOPBACKS for host in v6_hosts(address)]
    hosts += [
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::1%25lo]",
        "[::1%lo]",
        "[::0001]",
    ]
    hosts += ["localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"]
    hosts += ["0", "0.0", "0x0", "00", "127.1", "127.0.1", "127.1."]
    urls = [f"http://{host}:{port}/v1/models" for host in hosts]
    target = f"127.0.0.1:{port}"
    urls += [
        f"http://user@{target}/",
        f"http://user:pass@{target}/",
        f"http://@{target}/",
        f"http://example.com@{target}/",
        f"http://example.com%40{target}/",
        f"http://example.com#@{target}/",
        f"http://example.com\\@{target}/",
        f"http://{target}\\@example.com/",
        f"http://{target}#.example.com/",
        f"http:\\\\{target}/",
        f"http:/{target}/",
        f"http:{target}/",
        f"//{target}/",
        f"http:///{target}/",
        f"ftp://{target}/",
        f"gopher://{target}/",
        f"file://{target}/etc/passwd",
        f"unix://{target}/",
        f"ws://{target}/",
        f"HTTP://{target}/",
        f" http://{target}/",
        f"http://{target} /",
        f"ht\ntp://{target}/",
        f"http://127.0.0.1\t:{port}/",
        f"http://127.0.0.1:{port}\r\nHost: a/",
        f"http://127.0.0.1:0{port}/",
        f"http://[127.0.0.1]:{port}/",
        f"http://[::ffff:127.0.0.1:{port}/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "",
        "http://",
        target,
    ]
    return urls
