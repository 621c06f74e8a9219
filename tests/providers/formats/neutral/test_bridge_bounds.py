"""A body of millions of items is refused before it becomes objects."""

from __future__ import annotations

import pytest

from providers.formats import registry
from providers.formats.base import MAX_LOOSE_ITEMS, Arrival, FormatError, Target

ONE = {
    "openai": b'{"model":"m","messages":[%s]}',
    "anthropic": b'{"model":"m","max_tokens":9,"messages":[%s]}',
    "google": b'{"contents":[%s]}',
    "responses": b'{"model":"m","input":[%s]}',
    "ollama": b'{"model":"m","messages":[%s]}',
    "bedrock": b'{"messages":[%s]}',
}


@pytest.mark.parametrize("inbound", ONE)
def test_a_body_of_too_many_items_is_not_translated(inbound: str) -> None:
    wire = registry.get(inbound)
    route = next(each for each in wire.routes if each.op == "chat")
    arrival = Arrival(
        path=route.path, path_model="m" if "{model}" in route.path else None
    )
    items = b",".join([b'{"role":"user"}'] * (MAX_LOOSE_ITEMS + 2))
    request = wire.read_request(ONE[inbound] % items, arrival)
    upstream = "openai" if inbound != "openai" else "anthropic"
    bridge = registry.bridge(inbound, upstream, "m")
    assert bridge is not None
    with pytest.raises(FormatError) as caught:
        bridge.build_request(request, Target(model="m"))
    assert caught.value.code == "request_too_large"
    assert caught.value.status == 413
