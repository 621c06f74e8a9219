from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from pricing.tokens import TokenUsage
from tests.providers.formats.chat import (
    FIXTURES,
    asking_for_usage,
    chunk,
    open_tap,
    outcome,
    request,
    run,
    sse,
)

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def _expected(fixture):
    stream = fixture["stream"].encode()
    cut = fixture["expect"].get("cut", "").encode()
    return stream.removesuffix(cut) + fixture["expect"].get("appended", "").encode()


@pytest.mark.parametrize("name", FIXTURES)
def test_a_documented_stream_passes_verbatim_and_is_metered(name):
    fixture = FIXTURES[name]
    expect = fixture["expect"]
    tap = open_tap(asking_for_usage())
    assert run(tap, [fixture["stream"].encode()]) == _expected(fixture)
    usage = expect["usage"]
    found = tap.usage
    if usage is None:
        assert found is None
    else:
        assert {name: getattr(found, name) for name in usage} == usage
    assert tap.complete is expect["complete"]
    assert tap.text_bytes == expect["text_bytes"]
    assert list(tap.finish_reasons) == expect["finish"]
    assert (tap.error.message if tap.error else None) == expect.get("error")
    assert tap.out_bytes == len(_expected(fixture))


@pytest.mark.parametrize("name", FIXTURES)
@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("model", ["gpt-4o", "another"])
def test_where_a_stream_is_cut_changes_nothing(name, asks, model):
    stream = FIXTURES[name]["stream"].encode()
    asked = asking_for_usage(model=model) if asks else request(stream=True, model=model)
    whole = open_tap(asked, model="gpt-4o")
    expected = run(whole, [stream])
    for place in range(len(stream) + 1):
        tap = open_tap(asked, model="gpt-4o")
        assert run(tap, [stream[:place], stream[place:]]) == expected, place
        assert outcome(tap) == outcome(whole), place
    tap = open_tap(asked, model="gpt-4o")
    assert run(tap, [stream[at : at + 1] for at in range(len(stream))]) == expected
    assert outcome(tap) == outcome(whole)
    chooser = random.Random(name)
    for _ in range(20):
        places = sorted(chooser.randrange(len(stream)) for _ in range(5))
        bounds = [0, *places, len(stream)]
        tap = open_tap(asked, model="gpt-4o")
        pieces = [stream[start:end] for start, end in pairwise(bounds)]
        assert run(tap, pieces) == expected


@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_says_where_it_comes_from(name):
    assert FIXTURES[name]["kind"] in ("documented", "sdk", "captured-from-mock")
    assert FIXTURES[name]["source"]


def test_t9_usage_only_the_proxy_asked_for_is_taken_back_out():
    with_usage = sse(
        chunk({"role": "assistant", "content": ""}, usage=None),
        chunk({"content": "Hi"}, usage=None),
        chunk({}, "stop", usage=None),
        {"id": "chatcmpl-1", "model": "gpt-4o", "choices": [], "usage": USAGE},
        "[DONE]",
    )
    without = sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        "[DONE]",
    )
    tap = open_tap(request(stream=True))
    assert run(tap, [with_usage]) == without
    assert tap.usage == TokenUsage(input_tokens=9, output_tokens=2)
    assert tap.complete
    assert tap.done


@pytest.mark.parametrize(
    ("member", "left"),
    [
        (',"usage":null,"obfuscation":"a1b2"}', ',"obfuscation":"a1b2"}'),
        (', "usage": null}', "}"),
        (',"usage":null }', " }"),
        (',"x":{"usage":null},"usage":null}', ',"x":{"usage":null}}'),
        (',"usage":null,"x":{"usage":null}}', ',"x":{"usage":null}}'),
        (',"x":",\\"usage\\":null","usage":null}', ',"x":",\\"usage\\":null"}'),
    ],
)
def test_t9_a_null_usage_leaves_wherever_it_stands(member, left):
    text = '{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]'
    tap = open_tap(request(stream=True))
    out = tap.feed(f"data: {text}{member}\n\n".encode())
    assert out == f"data: {text}{left}\n\n".encode()


def test_a_usage_that_came_with_content_stays():
    data = sse(chunk({"content": "a"}, usage=USAGE))
    assert open_tap(request(stream=True)).feed(data) == data


def test_the_requested_model_is_echoed_on_every_chunk_and_nowhere_else():
    asked = request(stream=True, model="my-alias")
    data = sse(
        chunk({"content": '"model":"gpt-up"'}, model="gpt-up"),
        chunk({"content": "b", "x": {"model": "gpt-up"}}, model="gpt-up"),
        chunk({}, "stop", model="gpt-up"),
        "[DONE]",
    )
    tap = open_tap(asked, model="gpt-up")
    out = run(tap, [data])
    assert out == data.replace(b'1,"model":"gpt-up"', b'1,"model":"my-alias"')
    assert tap.model == "gpt-up"


def test_a_model_after_changing_members_is_still_found():
    asked = request(stream=True, model="my-alias")
    frames = [
        b'data: {"choices":[{"delta":{"content":"%d"}}],"model" : "up"}\n\n' % number
        for number in range(5)
    ]
    out = open_tap(asked, model="up").feed(b"".join(frames))
    assert out == b"".join(frames).replace(b'"up"', b'"my-alias"')


def test_a_model_that_changes_on_the_way_is_still_replaced():
    asked = request(stream=True, model="my-alias")
    frames = sse(
        chunk({"content": "a"}, model="up-1"),
        chunk({"content": "b"}, model="up-2"),
        chunk({"content": "c"}, model="my-alias"),
    )
    out = open_tap(asked, model="up").feed(frames)
    assert [
        json.loads(line[6:])["model"] for line in out.decode().split("\n\n")[:-1]
    ] == ["my-alias"] * 3


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None, "refusal": None},
        {"tool_calls": []},
        {},
    ],
)
def test_openings_are_held_back_until_there_is_content(delta):
    asked = asking_for_usage()
    tap = open_tap(asked)
    opening = sse(chunk(delta))
    assert tap.feed(opening) == b""
    assert not tap.useful
    content = sse(chunk({"content": "a"}))
    assert tap.feed(content) == opening + content
    assert tap.useful


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"refusal": "no"},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "x"}]},
        {"thinking": "hm"},
        {"audio": {"id": "a"}},
        {"images": [{"x": 1}]},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
        {"function_call": {"name": "f"}},
        {"content": [{"type": "text", "text": "x"}]},
    ],
)
def test_content_of_any_kind_is_useful(delta):
    tap = open_tap(asking_for_usage())
    data = sse(chunk(delta))
    assert tap.feed(data) == data


def test_a_finish_or_a_usage_of_its_own_is_useful():
    data = sse(chunk({}, "stop"))
    assert open_tap(asking_for_usage()).feed(data) == data
    data = sse({"id": "c", "choices": [], "usage": USAGE})
    assert open_tap(asking_for_usage()).feed(data) == data
