"""Add to a free test what only a call can show: an answer, a stream, a tool.

These cost about a token each, so they are made only when somebody asked for them; the
others are listed as skipped, with what they would cost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from providers.discovery import check
from providers.discovery.asking import Asker, Heard
from providers.discovery.calling import (
    Call,
    make_call,
    says_model_missing,
    send_call,
)
from providers.discovery.check import CheckResult, Stage
from providers.discovery.questions import region_cure
from providers.formats.base import FormatError
from providers.formats.cli_backed.command import is_program
from providers.routing.format_plan import best_first

COST: Final = "Three calls of one word: about 1 token of answer each."
PAID: Final = ("call", "streaming", "tools")
_UNASKED: Final = "Not asked for: it costs about 1 token."
_NO_MODEL: Final = "It does not have this model; try another."
_MODELS_TRIED: Final = 3
_NOT_CHAT: Final = (
    "embed", "rerank", "whisper", "tts", "dall-e", "image", "moderation", "audio",
    "realtime", "sora", "veo", "imagen", "transcribe", "speech", "ocr", "babbage",
    "davinci",
)  # fmt: skip


def run_stages(
    asker: Asker, *, with_call: bool = False, model: str = ""
) -> CheckResult:
    """Test a candidate step by step; what comes after a failure is skipped.

    Shapes:  ``with_call`` = the person accepted that three calls are paid for;
             ``model`` blank = the smallest of those listed.
    Fails:   never raises for what the provider does.
    Cost:    one request for nothing, three paid ones of a token; the asker's time.
    """
    result = check.check_with(asker)
    if is_program(asker.candidate.api_format):
        return result
    if not with_call:
        return unasked(result)
    if not (result.ok or _lacks_only_a_list(result)):
        return skip(result, "An earlier step failed.")
    models = [model] if model else chat_models(result.models)
    if not models:
        return skip(result, "Name a model to try it with a call.")
    call_stages(asker, result, models)
    return result


def _lacks_only_a_list(result: CheckResult) -> bool:
    """Tell a server that may answer calls though its list is none we can read."""
    failure = result.failure
    return (
        failure is not None
        and failure.name == "provider"
        and result.state == "not_supported"
    )


def skip(result: CheckResult, why: str) -> CheckResult:
    """Note the paid steps as skipped."""
    done = {stage.name for stage in result.stages}
    result.stages += [
        Stage(name, False, why, skipped=True) for name in PAID if name not in done
    ]
    return result


def chat_models(models: list[str]) -> list[str]:
    """Return the models a call may be tried with, the cheapest sensible first.

    A test wants an answer, not a good one: of the chat models the smallest is asked.
    """
    chat = [
        name for name in models if not any(word in name.lower() for word in _NOT_CHAT)
    ]
    return list(reversed(best_first(chat)))[:_MODELS_TRIED]


def unasked(result: CheckResult) -> CheckResult:
    """Note the paid steps as not asked for, with what they would cost."""
    return skip(result, _UNASKED)


def call_stages(asker: Asker, result: CheckResult, models: list[str]) -> None:
    """Make the three calls and add their steps to a result.

    Cost:  about a token each.
    """
    model, stage = _first_call(asker, models)
    result.stages.append(stage)
    if not stage.ok:
        result.state = "error" if result.state == "healthy" else result.state
        skip(result, "The call failed.")
        return
    if _lacks_only_a_list(result):
        _forgive_the_list(result)
    result.stages.append(
        _paid_stage(
            "streaming",
            asker,
            partial(make_call, asker.candidate, model, stream=True),
            Call.read_stream,
        )
    )
    tools = _paid_stage(
        "tools",
        asker,
        partial(make_call, asker.candidate, model, max_tokens=16, with_tool=True),
        Call.read,
    )
    if not tools.ok and tools.status in (400, 404, 422, 501):
        # A model without tools is no broken provider.
        words = f"{model} takes no tools. {tools.text}"
        tools = Stage("tools", False, words, status=tools.status, skipped=True)
    result.stages.append(tools)
    if result.failure is not None:
        result.state = "error"


def _forgive_the_list(result: CheckResult) -> None:
    """A provider that answers works, with or without a list."""
    words = "There is no list of models to read; name the models yourself."
    result.stages = [
        each
        if each.ok or each.name != "provider"
        else Stage("provider", False, words, status=each.status, skipped=True)
        for each in result.stages
    ]
    result.state = "healthy"


def _first_call(asker: Asker, models: list[str]) -> tuple[str, Stage]:
    """Call the first model that exists."""
    stage = Stage("call", False, "There is no model to call.")
    for model in models:
        stage = _paid_stage(
            "call", asker, partial(make_call, asker.candidate, model), Call.read
        )
        if stage.ok or stage.cure != _NO_MODEL:
            return model, _naming(stage, model)
    return models[-1], _naming(stage, models[-1])


def _naming(stage: Stage, model: str) -> Stage:
    if not stage.ok:
        return stage
    text = f"{model} answers."
    return Stage(stage.name, True, text, stage.latency_ms, stage.status)


def _paid_stage(
    name: str,
    asker: Asker,
    make: Callable[[], Call],
    read: Callable[[Call, Heard], str],
) -> Stage:
    try:
        call = make()
    except FormatError as exc:
        return Stage(name, False, exc.message, skipped=True)
    heard = send_call(asker, call)
    if heard.answer is None:
        return Stage(name, False, heard.words, cure=heard.cure)
    took = heard.answer.elapsed_ms
    if heard.status is not None and not 200 <= heard.status < 300:
        said = asker.quoted(heard) or asker.code(heard) or "no reason given"
        return Stage(
            name,
            False,
            f"The provider answered {heard.status}: {said}",
            took,
            heard.status,
            _cure(heard, asker),
        )
    wrong = asker.clean(read(call, heard))
    if wrong:
        cure = "Try another wire format." if name == "call" else ""
        return Stage(name, False, wrong, took, heard.status, cure)
    words = {
        "streaming": "The answer comes as a stream and ends well.",
        "tools": "A request with a tool is accepted.",
    }
    return Stage(name, True, words.get(name, "It answers."), took, heard.status)


def _cure(heard: Heard, asker: Asker) -> str:
    if heard.status in (401, 403):
        return region_cure(asker.candidate)
    if heard.status == 402:
        return "The account has no credit; add some at the vendor."
    if heard.status == 429:
        return "Wait a moment, or raise the limit at the vendor."
    said = f"{asker.quoted(heard)} {asker.code(heard)}"
    return _NO_MODEL if says_model_missing(heard.status, said) else ""
