"""How the tests of the OpenAI SDK make their clients."""

from __future__ import annotations

from typing import Any

from openai import OpenAI

from tests.rig.stage import Scene
from tests.rig.thread import UpstreamThread

Town = Scene[UpstreamThread]
HELLO: Any = [{"role": "user", "content": "Tell me about the harbour."}]


def make(town: Town, key: str = "", **options: Any) -> OpenAI:
    options.setdefault("max_retries", 0)
    return OpenAI(
        base_url=town.product.url, api_key=key or town.keys["client"], **options
    )
