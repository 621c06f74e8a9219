"""Planted keys never reach the store of bodies, and who keeps none pays nothing."""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
import timeit
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from providers.proxy.bodies import copy_for, hand_over
from providers.snapshot.types import ClientKeyRecord, SettingsRecord
from scripts.proofs.figure import Figure, at_most, equal
from tests.usage.bodies.planted import SECRETS
from usage.bodies import record
from usage.bodies.redact import redacted
from usage.bodies.spool import SUFFIX, Raw, Spool

name = "bodies"
PROMPTS: Final = 5_000
FEW: Final = 200
CALLS: Final = 100_000
_KEEP: Final = 64 * 1024
_WORDS: Final = re.findall(
    r"\w+",
    "the a of to and in is that token basic key secret password bearer authorization "
    "skip risk pocket hf api value export curl header JSON write read file line please "
    "explain why this function returns none when input list empty",
)


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Plant keys in prompts, keep them, look for them; then time who keeps none."""
    dice = random.Random(seed)
    count = FEW if short else PROMPTS
    survivors, changed, dropped, per_kb_us = _planted(dice, count)
    return [
        equal(f"Planted keys left in {count:,} kept prompts", survivors, 0),
        equal(f"Plain prompts changed, of {count:,}", changed, 0),
        equal("Bodies dropped at that pace", dropped, 0),
        at_most("Taking secrets out of a KB, CPU", round(per_kb_us), 500, "us"),
        at_most("A call whose key keeps nothing", round(_idle_ns()), 2_000, "ns"),
    ]


def _planted(dice: random.Random, count: int) -> tuple[int, int, int, float]:
    """Return keys left, plain prompts changed, bodies dropped, and the cost of a KB."""
    changed, size, spent = 0, 0, 0.0
    with tempfile.TemporaryDirectory(prefix="pool-bodies-") as folder:
        spool = Spool(Path(folder), most_waiting=1 << 30)
        for number in range(count):
            plain = _prose(dice)
            begun = time.thread_time()
            changed += redacted(plain) != plain
            spent += time.thread_time() - begun
            size += len(plain)
            asked = _with_keys(dice, plain)
            spool.keep(Raw(f"{number}", 0, _KEEP, asked, len(asked)))
        spool.close(within_s=300)
        kept = [_text(path) for path in Path(folder).glob(f"*{SUFFIX}")]
    left = sum(key in text for text in kept for key in SECRETS.values())
    return left, changed, count - len(kept), spent / size * 1024 * 1e6


def _prose(dice: random.Random) -> bytes:
    words = " ".join(dice.choices(_WORDS, k=dice.randint(5, 2_000)))
    asked = {"model": "m", "messages": [{"role": "user", "content": words}]}
    return json.dumps(asked).encode()


def _with_keys(dice: random.Random, plain: bytes) -> bytes:
    words = plain.decode().split(" ")
    for key in dice.sample(sorted(SECRETS.values()), 3):
        words.insert(dice.randint(0, len(words)), key)
    return " ".join(words).encode()


def _text(path: Path) -> str:
    asked = record.decode(path.read_bytes()).asked
    return "" if asked is None else record.plain(asked.data).decode()


def _idle_ns() -> float:
    """Time what a call goes through whose key keeps nothing."""
    key = ClientKeyRecord(id=1, public_id="k", digest="", pepper_id="", name="k")
    settings = SettingsRecord()
    call = cast("Any", SimpleNamespace(reply=SimpleNamespace(copy=None)))

    def once() -> None:
        copy_for(key, settings)
        hand_over(None, call)

    return min(timeit.repeat(once, number=CALLS, repeat=3)) / CALLS * 1e9
