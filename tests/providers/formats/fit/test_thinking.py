from __future__ import annotations

import pytest

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.fitted import fit
from providers.formats.neutral.types import (
    Opaque,
    Reasoning,
    Request,
    Thinking,
    ToolChoice,
)
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    request,
    result,
    results,
    tool,
    user,
    words,
)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
T59 = {
    ("anthropic", "claude-sonnet-4-5"): (
        ("off", 1024, 4096, 10000, 16000, 31999, 63999)
    ),
    ("anthropic", "claude-opus-4-7"): (
        ("off", "low", "low", "medium", "high", "xhigh", "max")
    ),
    ("anthropic", "claude-opus-4-6"): (
        ("off", "low", "low", "medium", "high", "high", "max")
    ),
    ("google", "gemini-2.5-flash"): (("off", 512, 2048, 8192, 24576, 24576, 24576)),
    ("google", "gemini-2.5-pro"): ((128, 512, 2048, 8192, 24576, 32768, 32768)),
    ("google", "gemini-3-pro-preview"): (
        ("low", "low", "low", "low", "high", "high", "high")
    ),
    ("google", "gemini-3-flash-preview"): (
        ("minimal", "minimal", "low", "medium", "high", "high", "high")
    ),
    ("ollama", "gpt-oss:20b"): (
        ("low", "low", "low", "medium", "high", "high", "high")
    ),
    ("responses", "gpt-5.2"): (
        ("off", "low", "low", "medium", "high", "xhigh", "xhigh")
    ),
    ("responses", "gpt-5"): (
        ("minimal", "minimal", "low", "medium", "high", "high", "high")
    ),
    ("openai", "o3"): (("low", "low", "low", "medium", "high", "high", "high")),
    ("bedrock", "anthropic.claude-sonnet-4-20250514-v1:0"): (
        ("off", 1024, 4096, 8192, 16000, 32000, 63999)
    ),
}


@pytest.mark.parametrize(("to", "model"), T59)
def test_t59_each_effort_becomes_what_the_model_knows(to, model):
    got = []
    for effort in EFFORTS:
        asked = request(thinking=Thinking(mode="effort", effort=effort))
        done = fitted(asked, to, model).request
        made = done.thinking
        got.append("off" if made.mode == "off" else made.budget or made.effort)
        if made.mode == "budget" and done.max_output is not None:
            assert done.max_output > made.budget
    assert tuple(got) == T59[to, model]


@pytest.mark.parametrize(
    ("to", "model", "budget", "expected"),
    [
        ("openai", "gpt-5.2", 31999, "xhigh"),
        ("responses", "gpt-5", 31999, "high"),
        ("openai", "o3", 1024, "low"),
        ("responses", "gpt-5", 9000, "medium"),
        ("anthropic", "claude-opus-4-7", 20000, "high"),
    ],
    ids=["t60-chat", "t60-responses", "t60-least", "t60-medium", "t60-adaptive"],
)
def test_a_budget_becomes_the_nearest_effort(to, model, budget, expected):
    asked = request(thinking=Thinking(mode="budget", budget=budget))
    done = fitted(asked, to, model)
    assert done.request.thinking.effort == expected
    assert "thinking:emulate" in words(done)


def test_p61_the_answer_is_raised_above_the_budget():
    asked = request(
        thinking=Thinking(mode="budget", budget=10_000),
        max_output=1000,
        max_output_field="max_completion_tokens",
    )
    done = fitted(asked)
    assert done.request.max_output == 11_000
    assert done.request.thinking.budget == 10_000
    assert words(done) == {"max_completion_tokens:clamp"}


def test_p61_the_budget_shrinks_below_a_ceiling():
    asked = request(thinking=Thinking(mode="budget", budget=30_000), max_output=8000)
    done = fitted(asked, max_output_tokens=16_000)
    assert done.request.max_output == 16_000
    assert done.request.thinking.budget == 12_000
    tight = fitted(asked, max_output_tokens=1200)
    assert tight.request.thinking == Thinking(mode="off")
    assert tight.request.max_output == 1200


def test_a_budget_is_clamped_to_the_model():
    asked = request(thinking=Thinking(mode="budget", budget=10))
    done = fitted(asked)
    assert done.request.thinking.budget == 1024
    assert "thinking:clamp" in words(done)


def test_p62_newer_claude_gets_effort_and_no_sampling():
    asked = request(thinking=Thinking(mode="budget", budget=5000, show="auto"))
    done = fitted(asked, "anthropic", "claude-opus-4-8")
    assert done.request.thinking == Thinking(
        mode="adaptive", effort="medium", show="auto"
    )


def test_adaptive_reasoning_is_left_open_or_given_a_budget():
    asked = request(thinking=Thinking(mode="adaptive", show="auto"))
    assert fitted(asked).request.thinking.budget == 10_000
    kept = Thinking(mode="adaptive", show="auto")
    assert fitted(asked, "google").request.thinking == kept
    assert fitted(asked, "ollama").request.thinking == kept


def test_a_wish_to_see_reasoning_alone_asks_for_none():
    asked = request(thinking=Thinking(mode="effort", show="auto"))
    assert fitted(asked).request.thinking is None
    assert fitted(asked, "responses").request.thinking == asked.thinking
    assert fitted(asked, "google").request.thinking.mode == "adaptive"


def test_p63_unknown_words_and_models_that_do_not_reason_are_losses():
    asked = request(thinking=Thinking(mode="effort", effort="ultra"))
    done = fitted(asked, "responses")
    assert done.request.thinking == Thinking(mode="adaptive")
    assert words(done) == {"reasoning_effort:clamp"}
    assert words(fitted(asked)) == {"reasoning_effort:clamp"}
    done = fitted(asked, "openai", "gpt-4o")
    assert done.request.thinking is None
    assert words(done) == {"reasoning_effort:drop"}
    off = request(thinking=Thinking(mode="off"))
    assert not fitted(off, "openai", "gpt-4o").losses


def test_t46_a_forced_call_gives_way_to_reasoning():
    asked = request(
        tools=(tool(),),
        tool_choice=ToolChoice(mode="any", parallel=False),
        thinking=Thinking(mode="effort", effort="high"),
    )
    done = fitted(asked)
    assert done.request.tool_choice == ToolChoice(parallel=False)
    assert "tool_choice:clamp" in words(done)
    subset = ToolChoice(mode="subset", names=("look",), is_required=True)
    asked = request(tools=(tool(),), tool_choice=subset, thinking=asked.thinking)
    assert fitted(asked).request.tool_choice.mode == "auto"
    assert fitted(asked, "google").request.tool_choice == subset


def test_reasoning_goes_off_in_an_open_loop_whose_proof_is_gone():
    loop = (user("go"), assistant(call()), results(result()))
    thinking = Thinking(mode="budget", budget=2000)
    done = fitted(request(*loop, tools=(tool(),), thinking=thinking))
    assert done.request.thinking == Thinking(mode="off")
    assert "thinking:drop" in words(done)
    proof = Opaque(family="anthropic", slot="signature", data="s")
    proved = assistant(Reasoning(text="hm", opaque=(proof,)), call())
    loop = (loop[0], proved, loop[2])
    done = fitted(request(*loop, tools=(tool(),), thinking=thinking))
    assert done.request.thinking == thinking
    closed = (*loop[:1], assistant("ok"), user("on"))
    assert fitted(request(*closed, thinking=thinking)).request.thinking == thinking


@pytest.mark.parametrize(
    ("how", "levels", "expected"),
    [
        ("adaptive", ("low", "high"), Thinking(mode="adaptive", effort="low")),
        ("effort", ("none",), None),
    ],
)
def test_what_cannot_be_switched_off_goes_as_low_as_it_goes(how, levels, expected):
    caps = Capabilities(thinking=how, effort_levels=levels, thinking_off=False)
    asked = request(thinking=Thinking(mode="off"))
    done = fit(asked, Target(model="m"), caps, {})
    assert done.request.thinking == expected
    assert words(done) == {"reasoning_effort:clamp"}


def test_a_word_of_one_vendor_stands_above_all_others():
    asked = request(thinking=Thinking(mode="effort", effort="high"))
    done = fitted(asked, "openai", "qwen/qwen3-32b", provider="groq")
    assert done.request.thinking.effort == "default"


def test_a_conversation_of_results_alone_is_no_open_loop():
    caps = Capabilities(thinking="budget", thinking_needs_proof=True)
    asked = Request(
        dialect="openai", model="m", thinking=Thinking(mode="budget", budget=2000)
    )
    assert fit(asked, Target(model="m"), caps, {}).request.thinking == asked.thinking
