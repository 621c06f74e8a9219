from __future__ import annotations

import pytest

from providers.formats.base import FormatError
from providers.formats.neutral.types import Sampling, Thinking
from tests.providers.formats.fit.made import fitted, raw, request, words


def _sampled(to="anthropic", model="", *, stream=False, more=None, **values):
    asked = request(sampling=Sampling(**values), stream=stream, **(more or {}))
    done = fitted(asked, to, model)
    return done.request.sampling, words(done)


def test_t26_the_length_is_filled_from_the_model_or_a_default():
    assert fitted(request()).request.max_output == 16_384
    done = fitted(request(), max_output_tokens=32_000)
    assert done.request.max_output == 32_000
    old = fitted(request(), "anthropic", "claude-3-haiku-20240307")
    assert old.request.max_output == 4096
    for to in ("openai", "responses", "google", "ollama", "bedrock"):
        assert fitted(request(), to).request.max_output is None


def test_lengths_are_clamped_to_the_ceiling_and_the_floor():
    asked = request(max_output=64_000)
    done = fitted(asked, "openai", max_output_tokens=4096)
    assert done.request.max_output == 4096
    assert words(done) == {"max_tokens:clamp"}
    done = fitted(request(max_output=5), "responses")
    assert done.request.max_output == 16
    assert fitted(request(max_output=-1), "openai").request.max_output is None


def test_the_codex_backend_gets_no_length():
    done = fitted(
        request(max_output=500, max_output_field="max_tokens"), "codex", "gpt-5.3-codex"
    )
    assert done.request.max_output is None
    assert words(done) == {"max_tokens:drop"}


def test_t56_blank_stop_sequences_are_left_out():
    sampling, lost = _sampled(stop=("\n", "END", ""))
    assert sampling.stop == ("END",)
    assert lost == {"stop:drop"}
    sampling, lost = _sampled("openai", stop=("\n", "END"))
    assert sampling.stop == ("\n", "END")
    assert not lost
    sampling, lost = _sampled("google", stop=tuple("abcdefg"))
    assert len(sampling.stop) == 5
    assert lost == {"stop:clamp"}
    sampling, lost = _sampled("responses", stop=("a",))
    assert sampling.stop == ()
    assert lost == {"stop:drop"}


def test_t57_temperature_is_clamped_and_goes_alone():
    sampling, lost = _sampled(temperature=1.7, top_p=0.9)
    assert (sampling.temperature, sampling.top_p) == (1.0, None)
    assert lost == {"temperature:clamp", "top_p:drop"}
    sampling, lost = _sampled(model="claude-sonnet-4", temperature=0.5, top_p=0.9)
    assert (sampling.temperature, sampling.top_p) == (0.5, 0.9)
    assert not lost


@pytest.mark.parametrize(
    "model", ["claude-opus-4-7", "claude-opus-5", "claude-sonnet-5@20261101"]
)
def test_t58_newer_claude_gets_no_sampling(model):
    sampling, lost = _sampled(model=model, temperature=0.3, top_p=0.5, top_k=3)
    assert sampling == Sampling()
    assert lost == {"temperature:drop", "top_p:drop", "top_k:drop"}


def test_defaults_that_are_refused_are_no_loss():
    sampling, lost = _sampled(model="claude-opus-4-7", temperature=1, top_p=1)
    assert sampling == Sampling()
    assert not lost


def test_claude_that_reasons_gets_no_sampling_of_its_own():
    more = {"thinking": Thinking(mode="effort", effort="low")}
    sampling, lost = _sampled(more=more, temperature=0.2, top_k=4)
    assert sampling == Sampling()
    assert lost == {"temperature:drop", "top_k:drop"}
    sampling, _ = _sampled(more=more, top_p=0.5)
    assert sampling.top_p is None
    sampling, _ = _sampled(more=more, top_p=0.97)
    assert sampling.top_p == 0.97


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini", "gpt-5.2"])
def test_reasoning_models_of_openai_get_no_sampling(model):
    sampling, lost = _sampled(
        "openai", model, temperature=0.2, stop=("a",), presence_penalty=1.0
    )
    assert sampling == Sampling()
    assert lost == {"temperature:drop", "stop:drop", "presence_penalty:drop"}


@pytest.mark.parametrize("stream", [False, True])
def test_t61_several_answers_are_refused_where_one_is_given(stream):
    with pytest.raises(FormatError) as caught:
        _sampled(n=3, stream=stream)
    assert caught.value.param == "n"
    assert _sampled(n=1)[0].n is None
    assert _sampled("openai", n=3, stream=stream)[0].n == 3


def test_t61_gemini_gives_eight_answers_when_not_streaming():
    assert _sampled("google", n=3)[0].n == 3
    for values in ({"n": 9}, {"n": 3, "stream": True}):
        with pytest.raises(FormatError):
            _sampled("google", **values)
    with pytest.raises(FormatError):
        _sampled("google", "gemini-3-pro-preview", n=2)


def test_t62_what_claude_has_no_word_for_is_named():
    sampling, lost = _sampled(
        seed=1,
        logit_bias=raw({"1": 2}),
        presence_penalty=0.5,
        frequency_penalty=0.0,
        logprobs=True,
        top_logprobs=2,
        min_p=0.1,
    )
    assert sampling == Sampling()
    assert lost == {
        f"{name}:drop"
        for name in (
            "seed",
            "logit_bias",
            "presence_penalty",
            "logprobs",
            "top_logprobs",
            "min_p",
        )
    }


def test_what_an_upstream_was_learned_to_refuse_is_left_out():
    asked = request(sampling=Sampling(temperature=0.2, seed=4))
    done = fitted(asked, "openai", drop=frozenset({"seed", "unheard_of"}))
    assert done.request.sampling == Sampling(temperature=0.2)
    assert words(done) == {"seed:drop"}
