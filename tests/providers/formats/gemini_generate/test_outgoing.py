from __future__ import annotations

import json

import msgspec
import pytest

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.fitted import fit
from providers.formats.neutral.types import (
    Loss,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Sampling,
    State,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.gemini_generate.gemini import (
    CODEC,
    body_of,
    caps,
    neutral,
    request,
    sent,
    user,
)

SKIP = "skip_thought_signature_validator"
NEW, OLD = "gemini-3-pro-preview", "gemini-2.0-flash"
SCHEMA = {
    "$schema": "x",
    "type": "object",
    "additionalProperties": False,
    "properties": {"a": {"type": ["string", "null"]}, "b": {"const": "c"}},
}


def raw(value):
    return msgspec.Raw(json.dumps(value).encode())


def function(name="f", **more):
    return Tool(kind="function", name=name, schema=raw(SCHEMA), **more)


def call(name="f", call_id="c1", arguments="{}", **more):
    return ToolCall(name=name, id=call_id, arguments=arguments, **more)


def assistant(*parts):
    return Turn(role="assistant", parts=parts)


def results(*parts):
    return Turn(role="tool", parts=parts)


def result(text, call_id="c1", **more):
    return ToolResult(call_id=call_id, content=(Text(text=text),), **more)


def fitted(made, model):
    known = caps(model)
    return fit(made, Target(model=model), known, {}).request


def words(losses):
    return {loss.word for loss in losses}


def test_the_model_and_the_method_stand_in_the_path():
    assert sent(request())[0].path == "/models/gemini-2.5-flash:generateContent"
    encoded, _ = sent(request(stream=True), "tunedModels/my one")
    assert encoded.path == "/tunedModels/my%20one:streamGenerateContent?alt=sse"
    assert encoded.is_stream


def test_t33_a_conversation_begins_with_the_user():
    first, second = body_of(request(assistant(Text(text="Hi"))))["contents"]
    assert first["role"] == "user"
    assert second == {"role": "model", "parts": [{"text": "Hi"}]}


def test_turns_of_one_side_become_one_content():
    turns = user("a"), user("b"), assistant(Text(text="c")), assistant(Text(text="d"))
    first, second = body_of(request(*turns))["contents"]
    assert first["parts"] == [{"text": "a"}, {"text": "b"}]
    assert second["parts"] == [{"text": "c"}, {"text": "d"}]


def test_leading_instructions_are_parts_in_their_order():
    leading = tuple(
        Turn(role="instruction", parts=(Text(text=text),)) for text in ("a", "b")
    )
    body = body_of(request(instructions=leading))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_t40_new_models_take_json_schema_as_it_is():
    (group,) = body_of(request(tools=(function(description="d"),)))["tools"]
    assert group["functionDeclarations"] == [
        {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}
    ]


def test_t40_old_models_take_the_subset():
    (group,) = body_of(request(tools=(function(),)), OLD)["tools"]
    (declared,) = group["functionDeclarations"]
    assert declared["parameters"] == {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "STRING", "nullable": True},
            "b": {"type": "STRING", "enum": ["c"]},
        },
    }


def test_p51_old_models_get_no_parameters_rather_than_empty_ones():
    tool = Tool(kind="function", name="f", schema=raw({"type": "object"}))
    (group,) = body_of(request(tools=(tool,)), OLD)["tools"]
    assert group["functionDeclarations"] == [{"name": "f"}]


def test_p35_names_of_tools_are_made_legal():
    odd = "9 my tool/x" + "y" * 90
    made = request(user("x"), tools=(function(odd),))
    (group,) = body_of(fitted(made, NEW), NEW)["tools"]
    (declared,) = group["functionDeclarations"]
    assert len(declared["name"]) <= 64
    assert declared["name"][0].isalpha() or declared["name"][0] == "_"
    assert " " not in declared["name"]


def test_t49_p34_parallel_answers_are_one_content_of_objects():
    made = request(
        user("x"),
        assistant(call(), call("g", "c2"), call("h", "c3")),
        results(
            result("plain"),
            result('{"k": 1e3}', "c2"),
            result("bad", "c3", is_error=True),
        ),
        user("go on"),
    )
    *_, last = body_of(made)["contents"]
    answers = [part["functionResponse"] for part in last["parts"][:3]]
    assert answers == [
        {"name": "f", "id": "c1", "response": {"result": "plain"}},
        {"name": "g", "id": "c2", "response": {"k": 1000.0}},
        {"name": "h", "id": "c3", "response": {"error": "bad"}},
    ]
    assert last["parts"][3:] == [{"text": "go on"}]


def test_t49_p33_missing_answers_are_made_up_and_all_stand_in_call_order():
    made = request(
        user("x"),
        assistant(call(), call("g", "c2")),
        results(result("second", "c2")),
    )
    *_, last = body_of(fitted(made, NEW), NEW)["contents"]
    assert [part["functionResponse"]["name"] for part in last["parts"]] == ["f", "g"]
    assert "error" in last["parts"][0]["functionResponse"]["response"]


@pytest.mark.parametrize("text", ["[1]", "7", '"x"', "", "{", "null"])
def test_p34_what_is_no_object_is_wrapped(text):
    turns = user("x"), assistant(call()), results(result(text))
    (part,) = body_of(request(*turns))["contents"][-1]["parts"]
    assert part["functionResponse"]["response"] == {"result": text}


def test_pictures_of_tools_stand_behind_the_group_or_inside_new_models_answers():
    picture = Media(kind="image", source="base64", data="aGk=", media_type="image/png")
    answer = ToolResult(call_id="c1", content=(Text(text="see"), picture))
    turns = user("x"), assistant(call()), results(answer)
    wire = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    old = body_of(request(*turns), known=caps("gemini-2.5-flash"))["contents"][-1][
        "parts"
    ]
    assert old[1] == wire
    (new,) = body_of(request(*turns), NEW)["contents"][-1]["parts"]
    assert new["functionResponse"]["parts"] == [wire]


def signatures(*turns, model=NEW, **more):
    """Return the signatures of all calls, in order."""
    return [
        part.get("thoughtSignature")
        for content in body_of(request(*turns, **more), model)["contents"]
        for part in content["parts"]
        if "functionCall" in part
    ]


def test_t72_p58_a_foreign_call_of_the_current_turn_carries_the_skip_value():
    turns = (
        user("x"),
        assistant(call(), call("g", "c2")),
        results(result("1"), result("2", "c2")),
    )
    assert signatures(*turns) == [SKIP, None]
    assert signatures(
        *turns, assistant(call("h", "c3")), results(result("3", "c3"))
    ) == [
        SKIP,
        None,
        SKIP,
    ]


def test_t72_calls_of_earlier_turns_and_older_models_need_none():
    turns = user("x"), assistant(call()), results(result("1"))
    assert signatures(*turns, assistant(Text(text="ok")), user("y")) == [None]
    assert signatures(*turns, model="gemini-2.5-flash") == [None]


def test_t72_googles_own_signature_goes_back_to_the_model_that_made_it():
    def proven(model):
        opaque = Opaque(
            family="google", slot="thought_signature", data="s", model=model
        )
        return user("x"), assistant(call(opaque=(opaque,))), results(result("1"))

    assert signatures(*proven(NEW)) == ["s"]
    assert signatures(*proven("")) == ["s"]
    assert signatures(*proven("gemini-3-flash")) == [SKIP]


def test_t71_reasoning_of_others_is_not_shown_as_text():
    thought = Reasoning(
        text="secret", opaque=(Opaque(family="anthropic", slot="signature", data="s"),)
    )
    encoded, body = sent(request(user("x"), assistant(thought, Text(text="Hi"))))
    assert body["contents"][1]["parts"] == [{"text": "Hi"}]
    assert "reasoning:drop" in words(encoded.losses)


def test_t71_googles_own_reasoning_goes_back():
    opaque = Opaque(family="google", slot="thought_signature", data="s")
    turn = assistant(
        Reasoning(text="Hm", opaque=(opaque,)), Reasoning(opaque=(opaque,))
    )
    assert body_of(request(user("x"), turn))["contents"][1]["parts"] == [
        {"text": "Hm", "thought": True, "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "s"},
    ]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="any"), {"mode": "ANY"}),
        (
            ToolChoice(mode="one", names=("f",)),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            ToolChoice(mode="subset", names=("f", "g"), is_required=True),
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        ),
        (
            ToolChoice(mode="subset", names=("f",)),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_t44_the_choice_of_tools(choice, config):
    body = body_of(request(tools=(function(),), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}


def test_strict_tools_are_validated():
    body = body_of(request(tools=(function(strict=True),)))
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}


@pytest.mark.parametrize(
    ("type_", "dialect", "wire"),
    [
        ("web_search", "responses", {"googleSearch": {}}),
        ("web_search_20250305", "anthropic", {"googleSearch": {}}),
        ("googleSearch", "anthropic", {"googleSearch": {}}),
        ("code_interpreter", "responses", {"codeExecution": {}}),
        ("web_fetch_20250910", "anthropic", {"urlContext": {}}),
    ],
)
def test_t74_server_tools_of_others_become_googles(type_, dialect, wire):
    tool = Tool(kind="server", name="t", type=type_, dialect=dialect, payload=raw({}))
    assert body_of(request(tools=(tool, tool)))["tools"] == [wire]


def test_t74_a_server_tool_google_lacks_is_named():
    tool = Tool(kind="server", name="t", type="computer_use", dialect="responses")
    encoded, body = sent(request(tools=(tool,)))
    assert "tools" not in body
    assert words(encoded.losses) == {"tools.computer_use:drop"}


def test_p53_json_beside_functions_is_asked_for_in_words_of_older_models():
    made = request(
        tools=(function(),), output=OutputFormat(kind="schema", schema=raw(SCHEMA))
    )
    body = body_of(made, "gemini-2.5-flash")
    assert "generationConfig" not in body
    assert "JSON" in body["systemInstruction"]["parts"][0]["text"]
    config = body_of(made, NEW)["generationConfig"]
    assert config["responseMimeType"] == "application/json"


@pytest.mark.parametrize(
    ("output", "model", "config"),
    [
        (OutputFormat(kind="text"), NEW, {}),
        (OutputFormat(kind="json"), NEW, {"responseMimeType": "application/json"}),
        (
            OutputFormat(kind="schema", schema=raw({"type": "object"})),
            NEW,
            {
                "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"},
            },
        ),
        (
            OutputFormat(kind="schema", schema=raw({"type": "string"})),
            OLD,
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING"},
            },
        ),
        (
            OutputFormat(kind="schema", schema=raw({"type": "object"})),
            OLD,
            {"responseMimeType": "application/json"},
        ),
        (
            OutputFormat(kind="enum", schema=raw({"enum": ["a"]})),
            NEW,
            {
                "responseMimeType": "text/x.enum",
                "responseSchema": {"type": "STRING", "enum": ["a"]},
            },
        ),
    ],
)
def test_the_form_of_the_answer(output, model, config):
    assert body_of(request(output=output), model).get("generationConfig", {}) == config


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", NEW])
def test_t59_every_effort_has_a_budget_or_a_level(effort, model):
    made = request(user("x"), thinking=Thinking(mode="effort", effort=effort))
    config = body_of(fitted(made, model), model)["generationConfig"]["thinkingConfig"]
    budgets = {"minimal": 512, "low": 2048, "medium": 8192}
    if model == NEW:
        assert config["thinkingLevel"] in ("LOW", "HIGH")
        assert "thinkingBudget" not in config
    else:
        assert config["thinkingBudget"] == budgets.get(effort, 24576)
        assert "thinkingLevel" not in config


BUDGET = Capabilities(thinking="budget")
LEVEL = Capabilities(thinking="level")


@pytest.mark.parametrize(
    ("thinking", "known", "config"),
    [
        (Thinking(mode="off"), BUDGET, {"thinkingBudget": 0}),
        (Thinking(mode="off"), Capabilities(thinking="budget", thinking_off=False, min_budget=128), {"thinkingBudget": 128}),
        (Thinking(mode="adaptive"), BUDGET, {"thinkingBudget": -1}),
        (Thinking(mode="budget", budget=700, show="auto"), BUDGET, {"thinkingBudget": 700, "includeThoughts": True}),
        (Thinking(mode="effort", effort="low"), BUDGET, {"thinkingBudget": 2048}),
        (Thinking(mode="effort", effort="high", show="none"), LEVEL, {"thinkingLevel": "HIGH", "includeThoughts": False}),
        (Thinking(mode="off"), LEVEL, {"thinkingLevel": "MINIMAL"}),
        (Thinking(mode="adaptive"), LEVEL, {}),
        (Thinking(mode="budget", budget=30000), LEVEL, {"thinkingLevel": "HIGH"}),
        (Thinking(mode="budget", budget=3000), LEVEL, {"thinkingLevel": "LOW"}),
        (Thinking(mode="effort", effort="odd"), LEVEL, {"thinkingLevel": "MEDIUM"}),
        (Thinking(mode="effort", effort="high"), Capabilities(thinking="none"), {}),
    ],
)  # fmt: skip
def test_t59_the_wish_to_think_is_spelled(thinking, known, config):
    body = body_of(request(thinking=thinking), known=known)
    found = body.get("generationConfig", {}).get("thinkingConfig", {})
    assert found == config


def test_p73_what_a_model_refuses_is_left_out_and_named():
    sampling = Sampling(
        temperature=0.5,
        top_k=3,
        seed=1,
        presence_penalty=1.0,
        logprobs=True,
        top_logprobs=2,
        n=2,
        min_p=0.1,
        logit_bias=raw({"1": 2}),
        stop=("x",),
    )
    made = request(
        sampling=sampling,
        stream=True,
        end_user="u",
        verbosity="low",
        metadata={"a": "b"},
        service_tier="scale",
        state=State(store=True),
        tool_choice=ToolChoice(parallel=False),
    )
    known = Capabilities(logprobs=False, penalties=False)
    encoded, body = sent(made, known=known)
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topK": 3,
        "seed": 1,
        "stopSequences": ["x"],
    }
    assert words(encoded.losses) == {
        f"{name}:drop"
        for name in (
            "presencePenalty",
            "responseLogprobs",
            "logprobs",
            "n",
            "min_p",
            "logit_bias",
            "user",
            "verbosity",
            "metadata",
            "service_tier",
            "store",
            "parallel_tool_calls",
        )
    }


def test_what_an_upstream_was_learned_to_refuse_is_dropped():
    made = request(sampling=Sampling(seed=1, temperature=1.0), service_tier="flex")
    drop = frozenset({"serviceTier", "seed", "generationConfig.temperature"})
    _, body = sent(made, drop=drop)
    assert "serviceTier" not in body
    assert body["generationConfig"] == {}


def test_media_of_every_kind():
    turn = Turn(
        role="user",
        parts=(
            Media(kind="image", source="base64", data="aGk=", detail="low"),
            Media(kind="document", source="text", data="body", title="Head"),
            Media(kind="video", source="url", data="https://youtu.be/x"),
            Media(
                kind="document",
                source="gs",
                data="gs://b/o",
                media_type="application/pdf",
            ),
            Refusal(text="No."),
            Unknown(dialect="anthropic", type="container", payload=raw({})),
            Unknown(
                dialect="google",
                type="executableCode",
                payload=raw({"executableCode": {}}),
            ),
        ),
    )
    encoded, body = sent(request(turn))
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}},
        {"text": "Head\n\nbody"},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/o"}},
        {"text": "No."},
        {"executableCode": {}},
    ]
    assert words(encoded.losses) == {"detail:drop", "content.container:drop"}


def test_t36_a_fetched_picture_goes_inline():
    from providers.formats.base import Fetched

    picture = Media(kind="image", source="url", data="https://a.example/x.png")
    made = request(Turn(role="user", parts=(picture,)))
    fetched = {"https://a.example/x.png": Fetched("image/png", "aGk=")}
    known = caps(NEW)
    found = fit(made, Target(model=NEW), known, fetched).request
    (part,) = body_of(found, NEW)["contents"][0]["parts"]
    assert part == {"inlineData": {"mimeType": "image/png", "data": "aGk="}}


def test_a_gemini_client_keeps_what_only_gemini_knows():
    body = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "safetySettings": [{"category": "C"}],
        "toolConfig": {
            "functionCallingConfig": {"mode": "VALIDATED"},
            "retrievalConfig": {"languageCode": "en"},
        },
        "tools": [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}],
        "generationConfig": {"speechConfig": {}, "temperature": 1},
        "store": False,
        "serviceTier": "flex",
    }
    made = body_of(neutral(body))
    assert made == body | {
        "generationConfig": {"speechConfig": {}, "temperature": 1.0},
    }


def test_another_dialects_own_fields_are_not_sent():
    assert "weird" not in body_of(request(ext={"weird": raw(1)}))


def test_losses_are_losses():
    encoded, _ = sent(request(end_user="u"))
    assert encoded.losses == (Loss(field="user"),)
    assert CODEC.framing == "sse"
