from __future__ import annotations

import json

import pytest

from providers.formats import base
from providers.formats.base import Arrival, FormatError
from providers.formats.gemini_generate.dialect import FORMAT
from providers.formats.neutral.types import (
    Media,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolChoice,
)
from tests.providers.formats.gemini_generate.gemini import asked, neutral

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}


def said(*parts, **more):
    return {"contents": [{"role": "user", "parts": list(parts)}], **more}


def configured(**config):
    return neutral(said({"text": "Hi"}, generationConfig=config))


@pytest.mark.parametrize("model", ["m", "models/m", "tunedModels/m"])
def test_the_model_stands_in_the_path(model):
    peeked = asked(model=model)
    assert (peeked.model, peeked.stream, peeked.include_usage) == ("m", True, True)


def test_a_body_may_be_snake_case():
    body = said(
        {"inline_data": {"mime_type": "image/png", "data": "aGk="}},
        system_instruction={"parts": [{"text": "Be brief."}]},
        generation_config={"max_output_tokens": 9, "top_k": 3, "stop_sequences": ["x"]},
        tool_config={"function_calling_config": {"mode": "none"}},
    )
    peeked = asked(body)
    assert peeked.max_output_tokens == 9
    assert peeked.needs == base.NEED_VISION
    made = neutral(body)
    assert made.instructions[0].parts == (Text(text="Be brief."),)
    assert made.turns[0].parts == (
        Media(kind="image", source="base64", data="aGk=", media_type="image/png"),
    )
    assert (made.max_output, made.sampling.top_k) == (9, 3)
    assert made.sampling.stop == ("x",)
    assert made.tool_choice == ToolChoice(mode="none")


def test_what_a_request_needs_is_seen_without_translating_it():
    body = said(
        PICTURE,
        tools=[{"googleSearch": {}}],
        generationConfig={
            "candidateCount": 2,
            "responseSchema": {"type": "STRING"},
            "responseLogprobs": True,
            "responseModalities": ["AUDIO"],
            "thinkingConfig": {"thinkingBudget": -1},
        },
    )
    peeked = asked(body)
    assert peeked.n == 2
    assert peeked.needs == (
        base.NEED_VISION
        | base.NEED_TOOLS
        | base.NEED_JSON_SCHEMA
        | base.NEED_LOGPROBS
        | base.NEED_AUDIO
        | base.NEED_REASONING
        | base.NEED_CHOICES
    )
    off = said(
        {"text": "x"}, generationConfig={"thinkingConfig": {"thinkingBudget": 0}}
    )
    assert asked(off).needs == 0
    start, end = peeked.content_spans[0]
    assert json.loads(peeked.body[start:end]) == body["contents"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b"{", None),
        (b'{"a":1,"a":2}', None),
        (b"{}", "contents"),
        (b'{"contents":1}', "contents"),
        (
            b'{"contents":[],"generationConfig":{"maxOutputTokens":0}}',
            "generationConfig.maxOutputTokens",
        ),
        (
            b'{"contents":[],"generationConfig":{"maxOutputTokens":"x"}}',
            "generationConfig.maxOutputTokens",
        ),
        (
            b'{"contents":[],"generationConfig":{"candidateCount":9}}',
            "generationConfig.candidateCount",
        ),
        (b'{"contents":[],"generationConfig":7}', "generationConfig"),
    ],
)
def test_a_bad_body_is_refused_with_its_field(body, param):
    with pytest.raises(FormatError) as caught:
        asked(body)
    assert caught.value.param == param


def test_a_model_is_needed_and_bounded():
    for model in (None, " ", "m" * 600):
        arrival = Arrival(path="/x", path_model=model)
        with pytest.raises(FormatError, match="model"):
            FORMAT.read_request(b'{"contents":[]}', arrival)


def test_p33_answers_of_tools_find_their_calls_by_id_and_by_name_and_order():
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "Go"}]},
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "f", "args": {"a": 1}}},
                    {"functionCall": {"name": "f", "args": {"a": 2}}},
                    {"functionCall": {"name": "g", "id": "own"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "id": "own",
                            "name": "g",
                            "response": {"output": "3"},
                        }
                    },
                    {"functionResponse": {"name": "f", "response": {"result": "1"}}},
                    {"text": "and now?"},
                ],
            },
            {
                "role": "function",
                "parts": [
                    {"functionResponse": {"name": "f", "response": {"error": "2"}}}
                ],
            },
        ]
    }
    made = neutral(body)
    _, calls, results, words, late = made.turns
    first, second, own = calls.parts
    assert own.id == "own"
    assert first.id != second.id
    assert [each.call_id for each in results.parts] == ["own", first.id]
    assert [each.content for each in results.parts] == [
        (Text(text="3"),),
        (Text(text="1"),),
    ]
    assert (results.role, words.role, late.role) == ("tool", "user", "tool")
    assert late.parts[0].call_id == second.id
    assert late.parts[0].is_error
    assert neutral(body).turns == made.turns


def test_answers_that_came_in_contents_of_their_own_are_one_turn():
    answer = {"functionResponse": {"name": "f", "response": {"a": [1]}}}
    content = {"role": "user", "parts": [answer]}
    (turn,) = neutral({"contents": [content, content]}).turns
    assert [each.content[0].text for each in turn.parts] == ['{"a": [1]}'] * 2


def test_thoughts_and_signatures_are_reasoning():
    parts = [
        {"text": "Hm", "thought": True, "thoughtSignature": "a"},
        {"text": "Hi", "thought_signature": "b"},
        {
            "functionCall": {"name": "f"},
            "thoughtSignature": "skip_thought_signature_validator",
        },
    ]
    (turn,) = neutral({"contents": [{"role": "model", "parts": parts}]}).turns
    thought, text, proof, call = turn.parts
    assert thought.text == "Hm"
    assert thought.opaque[0].data == "a"
    assert text == Text(text="Hi")
    assert isinstance(proof, Reasoning)
    assert proof.opaque[0].data == "b"
    assert call.opaque == ()


def test_media_of_every_place_is_told_apart():
    parts = [
        {
            "fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"},
            "videoMetadata": {"fps": 1},
        },
        {"fileData": {"fileUri": "gs://b/o.pdf", "mimeType": "application/pdf"}},
        {
            "fileData": {
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"
            }
        },
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
    ]
    film, paper, file, sound = neutral(said(*parts)).turns[0].parts
    assert (film.kind, film.source) == ("video", "url")
    assert "videoMetadata" in film.ext
    assert (paper.kind, paper.source) == ("document", "gs")
    assert file.source == "file_id"
    assert sound.kind == "audio"


def test_tools_are_functions_and_googles_own():
    declared = {
        "name": "f",
        "description": "d",
        "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        "behavior": "BLOCKING",
    }
    plain = {"name": "g", "parametersJsonSchema": {"type": "object"}}
    made = neutral(
        said(
            {"text": "x"},
            tools=[
                {"functionDeclarations": [declared, plain]},
                {"googleSearch": {}},
                {"codeExecution": {}},
            ],
        )
    )
    first, second, search, code = made.tools
    assert json.loads(bytes(first.schema)) == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }
    assert json.loads(bytes(first.payload)) == {"behavior": "BLOCKING"}
    assert bytes(second.schema) == b'{"type": "object"}'
    assert (search.kind, search.type) == ("server", "web_search")
    assert code.type == "code_execution"
    assert json.loads(bytes(search.payload)) == {"googleSearch": {}}


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "ANY"}, ToolChoice(mode="any")),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ToolChoice(mode="one", names=("f",)),
        ),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            ToolChoice(mode="subset", names=("f", "g"), is_required=True),
        ),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
    ],
)
def test_the_choice_of_tools_is_read(config, choice):
    body = said({"text": "x"}, toolConfig={"functionCallingConfig": config})
    assert neutral(body).tool_choice == choice


@pytest.mark.parametrize(
    ("config", "thinking"),
    [
        ({"thinkingBudget": 0}, Thinking(mode="off")),
        ({"thinkingBudget": -1}, Thinking(mode="adaptive")),
        ({"thinkingBudget": 700}, Thinking(mode="budget", budget=700)),
        ({"thinkingLevel": "HIGH"}, Thinking(mode="effort", effort="high")),
        ({"includeThoughts": True}, Thinking(mode="adaptive", show="auto")),
        (
            {"thinkingBudget": 0, "includeThoughts": False},
            Thinking(mode="off", show="none"),
        ),
    ],
)
def test_t59_the_wish_to_think_is_read(config, thinking):
    assert configured(thinkingConfig=config).thinking == thinking


def test_the_form_of_the_answer_is_read():
    assert configured(responseMimeType="application/json").output == OutputFormat(
        kind="json"
    )
    assert configured(responseMimeType="text/plain").output is None
    schema = {"type": "STRING", "enum": ["a"]}
    found = configured(responseMimeType="text/x.enum", responseSchema=schema).output
    assert found.kind == "enum"
    assert json.loads(bytes(found.schema)) == {"type": "string", "enum": ["a"]}
    found = configured(responseJsonSchema={"type": "object"}).output
    assert found == OutputFormat(kind="schema", schema=found.schema)


def test_what_is_not_understood_is_kept():
    made = neutral(
        said(
            {"text": "x"},
            safetySettings=[{"category": "C", "threshold": "T"}],
            cachedContent="cachedContents/1",
            serviceTier="flex",
            store=False,
            toolConfig={"retrievalConfig": {"languageCode": "en"}},
            generationConfig={"speechConfig": {}, "temperature": 0.5},
        )
    )
    assert set(made.ext) == {
        "safetySettings",
        "cachedContent",
        "toolConfig",
        "generationConfig",
    }
    assert json.loads(bytes(made.ext["generationConfig"])) == {"speechConfig": {}}
    assert (made.service_tier, made.state.store) == ("flex", False)


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [1]},
        {"contents": [{"parts": [{"text": 1}]}]},
        {"contents": [{"parts": 3}]},
        {"contents": [], "tools": "x"},
        {"contents": [], "generationConfig": {"temperature": "hot"}},
        {"contents": [], "systemInstruction": 5},
    ],
)
def test_odd_types_are_refused_and_not_raised(body):
    with pytest.raises(FormatError):
        neutral(body)


def test_texts_may_stand_where_objects_should():
    made = neutral({"contents": {"parts": {"text": "Hi"}}, "systemInstruction": "Be."})
    assert made.turns[0].parts == (Text(text="Hi"),)
    assert made.instructions[0].parts == (Text(text="Be."),)
