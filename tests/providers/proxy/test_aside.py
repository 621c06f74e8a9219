"""Large bodies are translated beside the event loop, and our bugs blame nobody."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from providers.formats.base import ChatRequest, Target, UpstreamRequest
from providers.proxy import translate
from providers.proxy.aside import LARGE_BYTES
from providers.proxy.exchange import UpstreamCall
from tests.providers.proxy import strange
from tests.providers.proxy.pool import CHAT, Pool, chat
from tests.upstream.server import FaultUpstream


@pytest.fixture
async def pool(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """A pool whose provider speaks a dialect that is translated."""
    with strange.registered():
        async with Pool(upstream.base_url) as made:
            made.set_provider(1, format="strange")
            yield made


@pytest.mark.parametrize(("more", "is_on_loop"), [(0, True), (LARGE_BYTES, False)])
async def test_only_a_large_body_is_translated_in_a_thread(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, more: int, is_on_loop: bool
) -> None:
    pool.set_provider(1, format="responses")
    seen: list[bool] = []
    build = translate.build_call

    def build_call(*args: Any, **fields: Any) -> UpstreamCall:
        seen.append(threading.current_thread() is threading.main_thread())
        return build(*args, **fields)

    monkeypatch.setattr(translate, "build_call", build_call)
    answer = await pool.call(chat(user="x" * more))
    assert answer.status == 200
    assert seen == [is_on_loop]


async def test_a_bug_in_wording_a_request_is_not_the_providers_fault(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_request(request: ChatRequest, target: Target) -> UpstreamRequest:
        raise KeyError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(strange.AROUND, "build_request", build_request)
        for _ in range(10):
            answer = await pool.call(CHAT)
            assert answer.status == 400
            assert answer.error["code"] == "translation_failed"
    answer = await pool.call(CHAT)
    assert answer.status == 200
    assert dict(answer.headers)[b"x-pool-attempts"] == b"1"
