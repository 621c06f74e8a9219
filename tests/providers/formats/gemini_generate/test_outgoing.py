from __future__ import annotations

import pytest

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    Loss,
    OutputFormat,
    Sampling,
    State,
    Thinking,
    Tool,
    ToolChoice,
)
from tests.providers.formats.gemini_generate.gemini import (
    CODEC,
    NEW,
    OLD,
    SCHEMA,
    body_of,
    fitted,
    function,
    neutral,
    raw,
    request,
    sent,
    user,
    words,
)


def test_the_model_and_the_method_stand_in_the_path():
    assert sent(request())[0].path == "/models/gemini-2.5-flash:generateContent"
    encoded, _ = sent(request(stream=True), "tunedModels/my one")
    assert encoded.path == "/tunedModels/my%20one:streamGenerateContent?alt=sse"
    assert encoded.is_stream


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
