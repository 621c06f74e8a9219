"""What comes before the first word is looked at once."""

from __future__ import annotations

import time

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Arrival
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import Delta, PartOpen, Start, UsageSeen

MANY = 20_000


def test_a_long_run_of_usage_before_the_first_word_costs_linear_time() -> None:
    wire = registry.get("responses")
    asked = wire.read_request(b'{"model":"m","input":"x"}', Arrival())
    codec = wire.codec("m")
    assert codec is not None
    view = View(model="m", request=codec.decode_request(asked), asked=asked)
    encoder = codec.open_encoder(view, wire.open_stream(asked, request_id="r"))
    began = time.process_time()
    assert encoder.encode([Start()]) == b""
    for count in range(MANY):
        assert encoder.encode([UsageSeen(usage=TokenUsage(output_tokens=count))]) == b""
    said = encoder.encode([PartOpen(pos=0, kind="text"), Delta(pos=0, text="x")])
    assert time.process_time() - began < 5.0
    assert b"response.output_text.delta" in said
