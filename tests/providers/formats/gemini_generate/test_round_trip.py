from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from tests.providers.formats.gemini_generate.gemini import CODEC, asked

KNOWN = Capabilities(thinking="budget", strict_tools=False, media_in_results=True)
names = st.text("abc_", min_size=1, max_size=8)
texts = st.text(min_size=1, max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
json_objects = st.dictionaries(
    names, scalars | st.lists(scalars, max_size=2), max_size=3
)
signature = st.sampled_from(
    [{}, {"thoughtSignature": "c2ln"}, {"thought_signature": "b3Ro"}]
)


def merged(*strategies):
    return st.tuples(*strategies).map(
        lambda found: {k: v for each in found for k, v in each.items()}
    )


media = merged(
    st.builds(
        lambda kind: {"inlineData": {"mimeType": kind, "data": "aGk="}},
        st.sampled_from(["image/png", "audio/wav", "application/pdf"]),
    ),
    st.sampled_from([{}, {"videoMetadata": {"fps": 1}}]),
)
files = st.sampled_from(["gs://b/o", "https://youtu.be/x", "files/1"]).map(
    lambda uri: {"fileData": {"mimeType": "video/mp4", "fileUri": uri}}
)
text_part = merged(st.builds(lambda text: {"text": text}, texts), signature)
thought = merged(
    st.builds(lambda text: {"text": text, "thought": True}, texts), signature
)
call = merged(
    st.builds(
        lambda name, args: {"functionCall": {"name": name, "args": args}},
        names,
        json_objects,
    ),
    signature,
)
response = st.builds(
    lambda name, value: {"functionResponse": {"name": name, "response": value}},
    names,
    json_objects,
)
odd = st.just({"executableCode": {"code": "1"}})
model_turn = st.lists(text_part | thought | call | odd, min_size=1, max_size=4).map(
    lambda parts: {"role": "model", "parts": parts}
)
user_turn = st.lists(
    text_part.map(lambda part: {"text": part["text"]}) | media | files | response,
    min_size=1,
    max_size=4,
).map(lambda parts: {"role": "user", "parts": parts})
config = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "topK": st.integers(1, 40),
        "maxOutputTokens": st.integers(1, 9999),
        "stopSequences": st.lists(texts, max_size=3),
        "seed": st.integers(0, 99),
        "candidateCount": st.integers(1, 4),
        "thinkingConfig": st.sampled_from(
            [
                {"thinkingBudget": 0},
                {"thinkingBudget": 900, "includeThoughts": True},
                {"thinkingBudget": -1},
            ]
        ),
        "responseMimeType": st.sampled_from(["application/json", "text/plain"]),
        "responseSchema": st.just({"type": "OBJECT", "nullable": True}),
        "responseModalities": st.just(["TEXT", "IMAGE"]),
        "mediaResolution": st.just("MEDIA_RESOLUTION_LOW"),
    },
)
tools = st.lists(
    st.sampled_from(
        [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "parameters": {
                            "type": "OBJECT",
                            "properties": {"a": {"type": "STRING"}},
                        },
                    }
                ]
            },
            {
                "functionDeclarations": [
                    {
                        "name": "g",
                        "parametersJsonSchema": {"type": "object"},
                        "behavior": "BLOCKING",
                    }
                ]
            },
            {"google_search": {}},
            {"computerUse": {"environment": "BROWSER"}},
        ]
    ),
    max_size=3,
    unique_by=json.dumps,
)
bodies = st.fixed_dictionaries(
    {
        "contents": st.tuples(
            user_turn, st.lists(model_turn | user_turn, max_size=4)
        ).map(lambda both: [both[0], *both[1]])
    },
    optional={
        "systemInstruction": st.builds(lambda text: {"parts": [{"text": text}]}, texts),
        "generationConfig": config,
        "tools": tools,
        "toolConfig": st.sampled_from(
            [
                {
                    "functionCallingConfig": {
                        "mode": "ANY",
                        "allowedFunctionNames": ["f"],
                    }
                },
                {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {}},
            ]
        ),
        "safetySettings": st.just([{"category": "C", "threshold": "T"}]),
        "labels": st.just({"a": "b"}),
        "serviceTier": st.just("flex"),
        "store": st.booleans(),
    },
)


def holds(body):
    """Put a request together twice; the second time nothing may change."""
    first = CODEC.decode_request(asked(body, stream=False))
    target = Target(model=first.model)
    encoded = CODEC.encode_request(first, target, KNOWN)
    assert encoded.losses == ()
    again = CODEC.decode_request(asked(encoded.body, stream=False))
    repeated = CODEC.encode_request(again, target, KNOWN)
    assert json.loads(repeated.body) == json.loads(encoded.body)


@settings(max_examples=100, deadline=None)
@given(bodies)
def test_taking_apart_what_was_put_together_gives_the_same(body):
    holds(body)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(bodies)
def test_it_gives_the_same_ten_thousand_times(body):
    holds(body)
