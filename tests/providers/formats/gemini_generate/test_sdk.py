"""Google's own client reads what is written for it."""

from __future__ import annotations

import warnings

import httpx
import pytest

from providers.formats.base import Arrival
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.gather import gather
from tests.providers.formats.gemini_generate.gemini import (
    CODEC,
    FIXTURES,
    FORMAT,
    asked,
    events,
    stream_of,
    view,
    written,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    genai = pytest.importorskip("google.genai")
    from google.genai import errors, types


@pytest.fixture
def google():
    """Make clients of Google's that talk to a function, and close them."""
    clients = []

    def make(handler):
        options = types.HttpOptions(
            base_url="http://pool.test",
            client_args={"transport": httpx.MockTransport(handler)},
        )
        clients.append(genai.Client(api_key="k", http_options=options))
        return clients[-1].models

    yield make
    for client in clients:
        client.close()


def routed(seen):
    """Return how the proxy would see a request."""
    path = seen.url.path
    (route,) = [
        each
        for each in FORMAT.routes
        if each.method == seen.method
        and path.startswith(each.path.partition("{model}")[0])
        and path.endswith(each.path.partition("{model}")[2])
        and each.path.count("/") == path.count("/")
        and "tuned" not in each.path
    ][:1]
    prefix, _, suffix = route.path.partition("{model}")
    arrival = Arrival(
        op=route.op,
        path=route.path,
        path_model=path[len(prefix) : len(path) - len(suffix)] or None,
        is_stream=route.is_stream,
        query=seen.url.query,
    )
    return FORMAT.read_request(seen.content, arrival)


def streaming(name, extra=b""):
    def handle(seen):
        client = routed(seen)
        data, stream = written(events(stream_of(name)), client)
        headers = {"content-type": stream.content_type}
        return httpx.Response(
            200, headers=headers, content=stream.keepalive() + data + extra
        )

    return handle


@pytest.mark.parametrize(
    "name", ["text", "thoughts", "parallel_calls", "grounding", "image"]
)
def test_t100_google_genai_reads_our_stream(google, name):
    chunks = list(
        google(streaming(name)).generate_content_stream(
            model="gemini-2.5-flash", contents="Hi"
        )
    )
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or ()
        for part in (candidate.content.parts if candidate.content else None) or ()
    ]
    expected = gather(events(stream_of(name)))
    text = "".join(part.text or "" for part in parts if not part.thought)
    shown = [
        part.text for part in expected.choices[0].parts if hasattr(part, "citations")
    ]
    assert text == "".join(shown)
    calls = [part.function_call for part in parts if part.function_call]
    wanted = FIXTURES[name].get("whole", {}).get("candidates", [{}])[0]
    wanted = [
        part["functionCall"]["args"]
        for part in wanted.get("content", {}).get("parts", ())
        if "functionCall" in part
    ]
    assert [call.args for call in calls] == wanted
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == expected.usage.total_tokens


def test_t100_google_genai_reads_our_whole_answer(google):
    def handle(seen):
        client = routed(seen)
        answer = gather(events(stream_of("parallel_calls")))
        return httpx.Response(200, content=CODEC.encode_answer(answer, view(client)))

    found = google(handle).generate_content(model="gemini-2.5-flash", contents="Hi")
    assert [call.name for call in found.function_calls] == ["weather", "weather"]
    assert found.usage_metadata.thoughts_token_count == 9


def test_t118_google_genai_raises_on_our_error_frame(google):
    stream = FORMAT.open_stream(asked(), request_id="q")
    detail = ErrorDetail(message="It broke.", status=503)
    client = google(streaming("no_reason", stream.error_frame(detail, request_id="q")))
    with pytest.raises(errors.APIError, match="It broke"):
        list(client.generate_content_stream(model="m", contents="Hi"))


def test_t113_google_genai_reads_our_errors(google):
    def handle(seen):
        detail = ErrorDetail(message="No such model.", code="model_not_found")
        status, body = FORMAT.build_error(404, detail, request_id="q")
        return httpx.Response(status, content=body)

    with pytest.raises(errors.ClientError, match="No such model") as caught:
        google(handle).generate_content(model="m", contents="Hi")
    assert caught.value.status == "NOT_FOUND"


def test_t135_google_genai_lists_our_models(google):
    def handle(seen):
        return httpx.Response(200, content=FORMAT.models_list(["a", "b"]))

    listed = list(google(handle).list())
    assert [model.name for model in listed] == ["models/a", "models/b"]


def test_google_genais_request_is_understood(google):
    seen_bodies = []

    def handle(seen):
        client = routed(seen)
        seen_bodies.append(CODEC.decode_request(client))
        answer = gather(events(stream_of("text")))
        return httpx.Response(200, content=CODEC.encode_answer(answer, view(client)))

    google(handle).generate_content(
        model="gemini-2.5-flash",
        contents=[
            types.Content(
                role="user",
                parts=[
                    types.Part(text="Hi"),
                    types.Part.from_bytes(data=b"hi", mime_type="image/png"),
                ],
            ),
        ],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            temperature=0.5,
            max_output_tokens=9,
            thinking_config=types.ThinkingConfig(thinking_budget=0),
            tools=[
                types.Tool(
                    function_declarations=[
                        {
                            "name": "f",
                            "parameters": {
                                "type": "OBJECT",
                                "properties": {"a": {"type": "STRING"}},
                            },
                        }
                    ]
                )
            ],
        ),
    )
    (made,) = seen_bodies
    assert made.instructions[0].parts[0].text == "Be brief."
    assert made.turns[0].parts[1].media_type == "image/png"
    assert (made.max_output, made.sampling.temperature) == (9, 0.5)
    assert made.thinking.mode == "off"
    assert made.tools[0].name == "f"
