from __future__ import annotations

import pytest

from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Citation, Opaque
from tests.providers.formats.openai_chat.cases import (
    SIGNED,
    completed,
    deltas,
    ended,
    joined,
    messages,
    part,
    raw,
    streamed,
)


def test_reasoning_has_its_own_field_and_parts_are_told_apart():
    events = ended(
        *part(0, "reasoning", "a", "b"),
        *part(1, "reasoning", "c"),
        *part(2, "text", "d"),
    )
    pieces = [d["reasoning_content"] for d in deltas(streamed(events)) if "reasoning_content" in d]  # fmt: skip
    assert pieces == ["a", "b", "\n\nc"]
    message = completed(events)["choices"][0]["message"]
    assert message["reasoning_content"] == "ab\n\nc"


def test_t90_proof_is_written_whole_at_the_end_of_its_part():
    sealed = Opaque(family="anthropic", slot="redacted", data="blob")
    events = ended(
        PartOpen(pos=0, kind="reasoning"),
        Delta(pos=0, text="hm"),
        OpaqueSeen(pos=0, opaque=SIGNED),
        PartClose(pos=0),
        PartOpen(pos=1, kind="reasoning"),
        OpaqueSeen(pos=1, opaque=sealed),
        PartClose(pos=1),
        *part(2, "text", "a"),
    )
    message, _ = joined(streamed(events))
    details = message["reasoning_details"]
    assert details == completed(events)["choices"][0]["message"]["reasoning_details"]
    assert [each["index"] for each in details] == [0, 1]
    assert details[0]["text"] == "hm"
    assert details[0]["signature"] == "sig"
    assert details[1]["data"] == "blob"


def test_proof_on_a_call_is_written_where_google_puts_it():
    proof = Opaque(family="google", slot="thought_signature", data="sig")
    events = ended(
        PartOpen(pos=0, kind="tool_call", id="c", name="f"),
        OpaqueSeen(pos=0, opaque=proof),
        Delta(pos=0, text="{}"),
        PartClose(pos=0),
    )
    extra = {"google": {"thought_signature": "sig"}}
    message, _ = joined(streamed(events))
    assert message["tool_calls"][0]["extra_content"] == extra
    call = completed(events)["choices"][0]["message"]["tool_calls"][0]
    assert call["extra_content"] == extra


@pytest.mark.parametrize("reason", ["refusal", "prompt_blocked", "malformed"])
def test_t93_t94_a_refusal_is_never_an_empty_success(reason):
    for detail in ("", "Because."):
        events = ended(reason=reason, detail=detail)
        message, _ = joined(streamed(events))
        assert message["refusal"]
        assert message["refusal"] == (detail or message["refusal"])
        whole = completed(events)["choices"][0]["message"]
        assert whole["refusal"] == message["refusal"]
        assert whole["content"] is None


def test_a_refusal_in_words_keeps_them():
    events = ended(*part(0, "refusal", "I ", "won't"))
    assert joined(streamed(events))[0]["refusal"] == "I won't"
    assert completed(events)["choices"][0]["message"]["refusal"] == "I won't"


def test_t98_sources_are_counted_in_characters_of_the_content():
    exact = Citation(url="https://a.example", title="A", start=0, end=2)
    blunt = Citation(url="https://b.example")
    local = Citation(kind="char", cited_text="x")
    events = ended(
        *part(0, "text", "😀 "),
        PartOpen(pos=1, kind="text"),
        CitationSeen(pos=1, citation=exact),
        Delta(pos=1, text="ab"),
        Delta(pos=1, text="c"),
        CitationSeen(pos=1, citation=blunt),
        CitationSeen(pos=1, citation=local),
        PartClose(pos=1),
    )
    message, _ = joined(streamed(events))
    places = [
        (each["url_citation"]["start_index"], each["url_citation"]["end_index"])
        for each in message["annotations"]
    ]
    assert places == [(2, 4), (2, 5)]
    whole = completed(events)["choices"][0]["message"]
    assert whole["annotations"] == message["annotations"]


def test_pictures_are_written_as_servers_that_make_them_do():
    events = ended(
        PartOpen(pos=0, kind="media"),
        MediaSeen(pos=0, data="aG", media_type="image/png"),
        MediaSeen(pos=0, data="k="),
        PartClose(pos=0),
        PartOpen(pos=1, kind="media"),
        MediaSeen(pos=1, data="aGk=", media_type="audio/wav"),
        PartClose(pos=1),
        PartOpen(pos=2, kind="media"),
        MediaSeen(pos=2, data="aGk=", media_type="video/mp4"),
        PartClose(pos=2),
        PartOpen(pos=3, kind="unknown"),
        UnknownSeen(pos=3, dialect="x", type="y", payload=raw({})),
        PartClose(pos=3),
    )
    message, _ = joined(streamed(events))
    url = message["images"][0]["image_url"]["url"]
    assert url == "data:image/png;base64,aGk="
    whole = completed(events)["choices"][0]["message"]
    assert whole["images"] == message["images"]
    assert whole["audio"] == {"data": "aGk="} == message["audio"]


def test_t111_log_probabilities_come_with_their_words():
    entries = [[{"token": "a"}], [{"token": "b"}]]
    events = ended(
        PartOpen(pos=0, kind="text"),
        *(Delta(pos=0, text=e[0]["token"], logprobs=raw(e)) for e in entries),
        PartClose(pos=0),
    )
    found = [
        frame["choices"][0]["logprobs"]
        for frame in streamed(events)
        if frame != "[DONE]" and "logprobs" in frame["choices"][0]
    ]
    assert found == [{"content": each} for each in entries]
    choice = completed(events)["choices"][0]
    assert choice["logprobs"]["content"] == [{"token": "a"}, {"token": "b"}]


def test_t90_what_a_client_sends_back_is_what_it_was_given():
    proof = Opaque(
        family="openai",
        slot="encrypted",
        data="enc",
        model="gpt-5",
        scope="cred-1",
    )
    sealed = Opaque(family="anthropic", slot="redacted", data="blob", scope="cred-1")
    google = Opaque(family="google", slot="thought_signature", data="g")
    events = ended(
        PartOpen(pos=0, kind="reasoning", detail="summary", item_id="rs_1"),
        Delta(pos=0, text="in short"),
        OpaqueSeen(pos=0, opaque=proof),
        PartClose(pos=0),
        PartOpen(pos=1, kind="reasoning"),
        OpaqueSeen(pos=1, opaque=SIGNED),
        Delta(pos=1, text="hm"),
        PartClose(pos=1),
        PartOpen(pos=2, kind="reasoning"),
        OpaqueSeen(pos=2, opaque=sealed),
        PartClose(pos=2),
        *part(3, "text", "a"),
        PartOpen(pos=4, kind="tool_call", id="c", name="f"),
        OpaqueSeen(pos=4, opaque=google),
        Delta(pos=4, text="{}"),
        PartClose(pos=4),
        reason="tool_calls",
    )
    given = gather(Repair().feed(events)).choices[0].parts
    sent_back = completed(events)["choices"][0]["message"]
    assert messages(sent_back).turns[0].parts == given
