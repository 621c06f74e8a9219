from __future__ import annotations

import base64
import json
import random
import re
import time

import pytest

from pricing.cost import PriceSpec
from pricing.estimate import (
    ASSUMED_OUTPUT_TOKENS,
    estimate_input_tokens,
    estimate_output_tokens,
    reserve,
    reserve_operation,
)
from pricing.tokens import TokenUsage

WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "I",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "word",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "my",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "its",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "government",
    "different",
    "important",
    "development",
    "information",
    "international",
    "understanding",
    "relationship",
    "experience",
    "particularly",
    "technology",
    "environment",
    "organisation",
    "responsible",
    "community",
    "political",
    "education",
    "university",
]


def _prose(seed, words):
    chooser = random.Random(seed)
    sentences = []
    while words > 0:
        size = min(words, chooser.randint(6, 18))
        words -= size
        text = " ".join(chooser.choice(WORDS) for _ in range(size))
        sentences.append(text.capitalize() + chooser.choice([".", ".", "?", ","]))
    return " ".join(sentences)


def _word_pieces(text):
    """Count like a word-piece vocabulary: short words whole, long ones in pieces."""
    total = 0
    for piece in re.findall(r"[A-Za-z]+|\d|[^\w\s]", text):
        total += 1 if len(piece) <= 7 else -(-len(piece) // 5)
    return total


@pytest.mark.parametrize("model", ["gpt-4o", "claude-opus-5", "gemini-2.5-pro", "foo"])
def test_english_text_is_estimated_within_fifteen_percent_over_a_run(model):
    estimated = actual = 0
    for seed in range(40):
        turns = [
            {"role": role, "content": _prose(f"{seed}{role}", 30 + 5 * seed)}
            for role in ("system", "user", "assistant", "user")
        ]
        estimated += estimate_input_tokens(json.dumps(turns).encode(), model)
        actual += sum(_word_pieces(turn["content"]) + 4 for turn in turns)
    assert abs(estimated - actual) / actual < 0.15


def test_output_is_estimated_within_fifteen_percent_over_a_run():
    texts = [_prose(seed, 200) for seed in range(40)]
    estimated = sum(estimate_output_tokens(len(text), "gpt-4o") for text in texts)
    actual = sum(map(_word_pieces, texts))
    assert abs(estimated - actual) / actual < 0.15


def _image(size):
    data = base64.b64encode(b"\x07" * size)
    return (
        b'[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url",'
        b'"image_url":{"url":"data:image/png;base64,' + data + b'"}}]}]'
    )


def test_an_image_costs_the_same_whatever_it_weighs():
    small = estimate_input_tokens(_image(3_000), "gpt-4o")
    large = estimate_input_tokens(_image(3_000_000), "gpt-4o")
    assert small == large
    assert 765 < small < 900


def test_a_linked_image_costs_as_much_as_an_embedded_one():
    linked = (
        b'[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url",'
        b'"image_url":{"url":"https://example.test/a.png"}}]}]'
    )
    embedded = estimate_input_tokens(_image(30), "gpt-4o")
    assert abs(estimate_input_tokens(linked, "gpt-4o") - embedded) < 20


def test_two_images_are_two():
    one = _image(300)
    two = one[:-1] + b"," + one[1:]
    assert estimate_input_tokens(two, "gpt-4o") >= 2 * 765


@pytest.mark.parametrize(
    "part",
    [
        b'{"type":"input_audio","input_audio":{"data":"%s","format":"wav"}}',
        b'{"type":"file","file":{"file_data":"data:application/pdf;base64,%s"}}',
        b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%s"}}',
        b'{"inlineData":{"mimeType":"video/mp4","data" : "%s"}}',
    ],
)
def test_media_of_any_dialect_never_count_as_text(part):
    data = base64.b64encode(b"x" * 90_000)
    tokens = estimate_input_tokens(b"[" + part % data + b"]", "gpt-4o")
    assert 100 < tokens < 4_000


def test_data_that_is_short_or_no_string_is_text():
    text = b'{"data": {"a": 1}, "more": "data", "data": "short"}'
    assert estimate_input_tokens(text, "gpt-4o") == -(-len(text) * 1000 // 4200)


def test_a_torn_data_url_does_not_hang():
    assert estimate_input_tokens(b'{"url":"data:image/png;base64,AAAA', "gpt-4o") > 0


def test_only_the_given_spans_are_counted():
    body = b'{"model":"x","metadata":"' + b"y" * 4_000 + b'","messages":[1,2]}'
    start = body.index(b"[")
    tokens = estimate_input_tokens(body, "gpt-4o", spans=[(start, start + 5)])
    assert tokens == 2


def test_escaped_text_costs_what_the_text_costs():
    text = "Zeile\n" * 100
    escaped = json.dumps([{"role": "user", "content": text}]).encode()
    tokens = estimate_input_tokens(escaped, "gpt-4o")
    assert abs(tokens - len(text) * 1000 // 4200) < 10


def test_a_reservation_takes_the_asked_output_and_a_margin_on_input():
    price = PriceSpec(input=1_000_000_000, output=2_000_000_000)
    held = reserve(input_tokens=1_001, asked_output=500, price=price)
    assert held.input_tokens == 1_302
    assert held.output_tokens == 500
    assert held.tokens == 1_802
    assert held.cost_nano_usd == 1_302_000 + 1_000_000


@pytest.mark.parametrize(
    ("maximum", "assumed", "expected"),
    [
        (None, ASSUMED_OUTPUT_TOKENS, 4_096),
        (2_000, 4_096, 2_000),
        (64_000, 4_096, 4_096),
        (64_000, 100, 100),
    ],
)
def test_unasked_output_is_the_smaller_of_model_and_assumption(
    maximum, assumed, expected
):
    held = reserve(input_tokens=1, model_max_output=maximum, assumed_output=assumed)
    assert held.output_tokens == expected
    assert held.cost_nano_usd is None


def test_every_choice_is_reserved():
    assert reserve(input_tokens=10, asked_output=7, n=3).output_tokens == 21


@pytest.mark.parametrize("piece", [b'"data"', b'";base64,"', b'"data":"x"'])
def test_a_body_made_to_be_slow_is_estimated_as_fast_as_any(piece):
    def seconds(size):
        body = b"[" + b",".join([piece] * (size // len(piece))) + b"]"
        start = time.perf_counter()
        estimate_input_tokens(body + b'";base64,"', "gpt-4o")
        return time.perf_counter() - start

    seconds(10_000)
    assert seconds(2_000_000) < 0.5


def test_what_follows_thousands_of_media_is_counted_as_text():
    body = b",".join([b'"x;base64,AAAA"'] * 5_000 + [b"word " * 10_000])
    assert estimate_input_tokens(body, "gpt-4o") > 10_000


def test_what_is_no_conversation_is_held_at_the_dearer_of_its_two_bills():
    tokens = TokenUsage(input_tokens=100, output_tokens=0, image_out_tokens=1_000)
    units = TokenUsage(units=2, unit_kind="image")
    by_token = PriceSpec(input=10**9, output=2 * 10**9)
    held = reserve_operation(tokens, units, by_token)
    assert (held.input_tokens, held.output_tokens) == (130, 1_000)
    assert held.cost_nano_usd == 130_000 + 2_000_000
    both = PriceSpec(input=10**9, output=2 * 10**9, per_image=9 * 10**12)
    assert reserve_operation(tokens, units, both).cost_nano_usd == 18_000_000
    by_piece = PriceSpec(per_image=9 * 10**12)
    assert reserve_operation(tokens, units, by_piece).cost_nano_usd == 18_000_000
    assert reserve_operation(tokens, None, by_piece).cost_nano_usd is None
    assert reserve_operation(tokens, units, None).cost_nano_usd is None
