from __future__ import annotations

import json

import msgspec
import pytest

from pricing.tokens import TokenUsage
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    Finish,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartOpen,
    Start,
    UnknownSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import Citation, Opaque
from tests.providers.formats.openai_responses.rs import (
    CODEC,
    FIXTURES,
    Client,
    answer,
    decoded,
    neutral,
    opened,
    parsed,
)

TEXT = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
COMPLETE = [name for name in FIXTURES if FIXTURES[name]["expect"]["complete"]]
PATCH = "*** Begin Patch\n*** End Patch"


def _types(events):
    return [event["type"] for event in events]


def _last(events):
    return events[-1]["response"]


def _all(kind, events):
    return [event for event in events if event["type"] == kind]


def test_t78_a_text_has_its_whole_life():
    events = Client().events(*answer(opened("text", "Hé", " 🚢")))
    assert _types(events) == TEXT
    item = events[8]["item"]
    assert item["content"][0]["text"] == "Hé 🚢"
    assert item["status"] == "completed"
    assert _last(events)["output"] == [item]
    assert {event["item_id"] for event in events[3:8]} == {item["id"]}
    assert events[4]["logprobs"] == []


def test_t79_thinking_text_and_call_are_items_of_their_own():
    events = Client().events(
        *answer(
            opened("reasoning", "Hm"),
            opened("text", "Hi"),
            opened("tool_call", "{}", id="call_1", name="f"),
            reason="tool_calls",
        )
    )
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    done = _all("response.output_item.done", events)
    assert [event["output_index"] for event in done] == [0, 1, 2]
    kinds = ["reasoning", "message", "function_call"]
    assert [event["item"]["type"] for event in done] == kinds
    assert [item["type"] for item in _last(events)["output"]] == kinds
    assert _last(events)["status"] == "completed"


def test_p25_many_calls_never_share_a_number():
    calls = [opened("tool_call", "{}", id=f"c{n}", name="f") for n in range(4)]
    events = Client().events(*answer(*calls, reason="tool_calls"))
    added = _all("response.output_item.added", events)
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]
    assert len({event["item"]["id"] for event in added}) == 4


def test_p26_a_second_text_has_a_place_of_its_own():
    events = Client().events(*answer(opened("text", "a"), opened("text", "b")))
    deltas = _all("response.output_text.delta", events)
    assert [event["content_index"] for event in deltas] == [0, 1]
    (item,) = _last(events)["output"]
    assert [part["text"] for part in item["content"]] == ["a", "b"]


def test_p109_usage_has_every_counter_codex_looks_for():
    events = Client().events(*answer(opened("text", "a")))
    assert _last(events)["usage"] == {
        "input_tokens": 37,
        "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 5},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 48,
    }


def test_usage_that_never_came_is_null():
    events = Client().events(*answer(opened("text", "a"), usage=None))
    assert _last(events)["usage"] is None


def test_usage_at_the_start_counts_until_there_is_better():
    start = Start(usage=TokenUsage(input_tokens=3), service_tier="flex")
    events = Client().events(start, *answer(opened("text", "a"), usage=None)[1:])
    assert _last(events)["usage"]["input_tokens"] == 3
    assert _last(events)["service_tier"] == "flex"


def test_p83_the_last_event_has_id_and_output():
    last = _last(Client().events(*answer(opened("text", "a"))))
    assert last["id"] == "resp_9x"
    assert last["output"][0]["content"][0]["text"] == "a"
    assert last["model"] == "m"


def test_the_request_is_echoed():
    client = Client(temperature=0.5, tools=[{"type": "web_search"}], user=None)
    last = _last(client.events(*answer(opened("text", "a"))))
    assert last["temperature"] == 0.5
    assert last["tools"] == [{"type": "web_search"}]
    assert last["tool_choice"] == "auto"
    assert last["store"] is False


def test_t88_words_of_reasoning_are_a_summary():
    events = Client().events(*answer(opened("reasoning", "a", "b", detail="full")))
    assert _types(events)[2:9] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    assert events[8]["item"]["summary"] == [{"type": "summary_text", "text": "ab"}]


def test_the_vendors_own_proof_stands_in_its_slot():
    proof = OpaqueSeen(
        pos=0, opaque=Opaque(family="openai", slot="encrypted", data="g")
    )
    events = Client().events(*answer(opened("reasoning", proof), opened("text", "a")))
    assert _last(events)["output"][0]["encrypted_content"] == "g"


def test_t90_redacted_thinking_goes_through_the_slot_and_back():
    secret = Opaque(
        family="anthropic", slot="redacted", data="é", scope="acc", model="c"
    )
    second = msgspec.structs.replace(secret, data="other")
    parts = (OpaqueSeen(pos=0, opaque=secret), OpaqueSeen(pos=0, opaque=second))
    events = Client().events(*answer(opened("reasoning", *parts), opened("text", "a")))
    item = _all("response.output_item.done", events)[0]["item"]
    assert item["summary"] == []
    assert is_packed(item["encrypted_content"])
    assert unpack(item["encrypted_content"]) == secret
    again = neutral(input=[item, {"role": "user", "content": "On."}])
    (thought,) = again.turns[0].parts
    assert thought.opaque == (secret,)
    assert thought.is_redacted


@pytest.mark.parametrize("pieces", [("*** Begin", " Patch\n*** End Patch"), (PATCH,)])
def test_t91_a_freeform_call_has_input_events(pieces):
    call = opened("tool_call", *pieces, id="c", name="apply_patch", tool_kind="custom")
    events = Client().events(*answer(call, reason="tool_calls"))
    deltas = _all("response.custom_tool_call_input.delta", events)
    assert "".join(event["delta"] for event in deltas) == PATCH
    (done,) = _all("response.custom_tool_call_input.done", events)
    assert done["input"] == PATCH
    item = _all("response.output_item.done", events)[0]["item"]
    assert (item["type"], item["call_id"], item["input"]) == (
        "custom_tool_call",
        "c",
        PATCH,
    )
    assert item["id"].startswith("ctc_")


@pytest.mark.parametrize(
    "pieces", [('{"input":"*** Begin Patch', '\\n*** End Patch"}'), (PATCH,)]
)
def test_p39_a_functions_call_of_a_freeform_tool_is_turned_back(pieces):
    client = Client(tools=[{"type": "custom", "name": "apply_patch"}])
    call = opened("tool_call", *pieces, id="c", name="apply_patch")
    events = client.events(*answer(call, reason="tool_calls"))
    (item,) = _last(events)["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", PATCH)
    assert _all("response.custom_tool_call_input.delta", events)


def test_a_freeform_call_without_text_stays_without():
    call = opened("tool_call", id="c", name="t", tool_kind="custom")
    (item,) = _last(Client().events(*answer(call, reason="tool_calls")))["output"]
    assert item["input"] == ""
    client = Client(tools=[{"type": "custom", "name": "t"}])
    wrapped = opened("tool_call", '{"input":""}', id="c", name="t")
    (item,) = _last(client.events(*answer(wrapped, reason="tool_calls")))["output"]
    assert item["input"] == ""


def test_a_function_without_arguments_gets_an_empty_object_and_an_id():
    events = Client().events(
        *answer(opened("tool_call", name="f"), reason="tool_calls")
    )
    (item,) = _last(events)["output"]
    assert item["arguments"] == "{}"
    assert item["call_id"].startswith("call_")
    deltas = _all("response.function_call_arguments.delta", events)
    assert [event["delta"] for event in deltas] == ["{}"]


def test_t67_a_call_names_its_namespace():
    call = opened("tool_call", "{}", id="c", name="f", namespace="mcp__x")
    (item,) = _last(Client().events(*answer(call, reason="tool_calls")))["output"]
    assert item["namespace"] == "mcp__x"


@pytest.mark.parametrize("reason", ["max_tokens", "context_full"])
def test_t96_an_answer_cut_by_its_limit_is_incomplete(reason):
    events = Client().events(*answer(opened("text", "a"), reason=reason))
    last = events[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["usage"]["total_tokens"] == 48


@pytest.mark.parametrize("reason", ["end", "stop_sequence", "pause", "tool_calls"])
def test_t95_t97_other_ends_are_complete(reason):
    events = Client().events(*answer(opened("text", "a"), reason=reason))
    assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("detail", "words"), [("No.", "No."), ("", "The model refused")]
)
def test_t94_a_refusal_is_a_refusal_part(detail, words):
    events = Client().events(
        *answer(opened("text", "a"), reason="refusal", detail=detail)
    )
    content = _last(events)["output"][0]["content"]
    assert [part["type"] for part in content] == ["output_text", "refusal"]
    assert content[1]["refusal"].startswith(words)
    assert events[-1]["type"] == "response.completed"


def test_t94_a_refusal_in_words_is_not_said_twice():
    events = Client().events(
        *answer(opened("refusal", "I can", "not."), reason="refusal")
    )
    assert _types(events)[3:8] == [
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ]
    (item,) = _last(events)["output"]
    assert item["content"] == [{"type": "refusal", "refusal": "I cannot."}]


@pytest.mark.parametrize(
    ("reason", "code"),
    [("prompt_blocked", "invalid_prompt"), ("malformed", "server_error")],
)
def test_what_is_no_answer_ends_as_failed(reason, code):
    events = Client().events(*answer(reason=reason, detail=""))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == code
    assert events[-1]["response"]["status"] == "failed"


def test_t98_citations_follow_their_text_and_count_characters():
    seen = CitationSeen(pos=0, citation=Citation(url="u", title="t", start=2, end=6))
    whole = CitationSeen(pos=0, citation=Citation(url="u2"))
    paper = CitationSeen(pos=0, citation=Citation(kind="page", title="paper.pdf"))
    events = Client().events(*answer(opened("text", "🚢 sail", seen, whole, paper)))
    kinds = _types(events)
    added = "response.output_text.annotation.added"
    assert kinds.index(added) > kinds.index("response.output_text.delta")
    assert kinds.index(added) < kinds.index("response.output_text.done")
    annotations = [event["annotation"] for event in _all(added, events)]
    assert annotations[0] == {
        "type": "url_citation",
        "start_index": 2,
        "end_index": 6,
        "url": "u",
        "title": "t",
    }
    assert (annotations[1]["start_index"], annotations[1]["end_index"]) == (0, 6)
    assert annotations[2]["type"] == "file_citation"
    part = _last(events)["output"][0]["content"][0]
    assert part["annotations"] == annotations


def test_log_probabilities_stand_in_piece_and_part():
    raw = msgspec.Raw(b'[{"token":"a"}]')
    piece = Delta(pos=0, text="a", logprobs=raw)
    client = Client()
    events = client.events(*answer(opened("text", piece, piece)))
    assert _all("response.output_text.delta", events)[0]["logprobs"] == [{"token": "a"}]
    part = _last(events)["output"][0]["content"][0]
    assert part["logprobs"] == [{"token": "a"}] * 2
    whole = client.whole(*answer(opened("text", piece, piece)))
    assert whole["output"][0]["content"][0] == part


def test_a_picture_is_an_item_of_its_own():
    picture = MediaSeen(pos=0, data="iVBO", media_type="image/png")
    events = Client().events(*answer(opened("media", picture), opened("text", "a")))
    output = _last(events)["output"]
    assert [item["type"] for item in output] == ["image_generation_call", "message"]
    assert output[0]["result"] == "iVBO"
    assert "response.image_generation_call.completed" in _types(events)


def test_sounds_and_foreign_items_have_no_words_here():
    sound = MediaSeen(pos=0, data="AA", media_type="audio/wav")
    raw = msgspec.Raw(b"{}")
    block = UnknownSeen(pos=0, dialect="anthropic", type="x", payload=raw)
    events = Client().events(*answer(opened("media", sound), opened("unknown", block)))
    assert _last(events)["output"] == []


def test_other_choices_are_left_out():
    client = Client()
    made = answer(opened("text", "a"))
    other = [
        PartOpen(pos=7, kind="text", choice=1),
        Delta(pos=7, text="b"),
        Finish(reason="end", choice=1),
    ]
    events = client.events(*made[:-2], *other, *made[-2:])
    assert len(_last(events)["output"]) == 1


def test_what_is_known_late_is_said_at_the_end():
    made = answer(opened("text", "a"))
    made.insert(-2, Meta(service_tier="priority"))
    assert _last(Client().events(*made))["service_tier"] == "priority"


def test_how_events_are_grouped_changes_nothing():
    made = answer(opened("reasoning", "a"), opened("text", "b", "c"))
    one = Client().bytes(*made)
    client = Client()
    client.stream.created = parsed(one)[0]["response"]["created_at"]
    assert b"".join(client.bytes(each) for each in made) == one


@pytest.mark.parametrize("name", [each for each in COMPLETE if each != "only_deltas"])
def test_a_whole_answer_is_what_its_stream_ends_with(name):
    events = decoded([FIXTURES[name]["stream"].encode()])
    client = Client()
    last = _last(parsed(client.encoder.encode(events)))
    whole = json.loads(CODEC.encode_answer(gather(events), client.view))
    del whole["created_at"], last["created_at"]
    assert whole == last


@pytest.mark.parametrize(
    "name",
    # A filtered answer gets a refusal in words.
    [each for each in COMPLETE if each != "incomplete_content_filter"],
)
def test_what_was_written_reads_as_what_was_read(name):
    first = gather(decoded([FIXTURES[name]["stream"].encode()]))
    client = Client()
    events = decoded([FIXTURES[name]["stream"].encode()])
    second = gather(decoded([client.encoder.encode(events)]))
    assert second.usage == first.usage or first.usage.cache_read_tokens is None
    kinds = [type(part) for part in first.choices[0].parts]
    assert [type(part) for part in second.choices[0].parts] == kinds
    assert second.choices[0].finish.reason == first.choices[0].finish.reason
