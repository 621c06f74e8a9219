"""The ways of Google's SDK beyond a plain call, on every upstream dialect."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from tests.clients.sdks.conftest import Town

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from google import genai
    from google.genai import types

pytestmark = pytest.mark.process


@pytest.fixture(params=["v1", "v1beta"])
def client(
    request: pytest.FixtureRequest, house: Town, root: str
) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=root, api_version=request.param)
    made = genai.Client(api_key=house.keys["client"], http_options=options)
    yield made
    made.close()


def test_t149_content_is_made_whole_and_streamed(
    client: genai.Client, upstream: str
) -> None:
    model = f"{upstream}/fault-len-30"
    whole = client.models.generate_content(model=model, contents="Tell me.")
    assert whole.text
    chunks = list(
        client.models.generate_content_stream(model=model, contents="Tell me.")
    )
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].usage_metadata is not None


def test_t149_a_chat_calls_functions_by_itself(
    client: genai.Client, upstream: str
) -> None:
    ran: list[str] = []

    def bash(command: str) -> str:
        """Run a command."""
        ran.append(command)
        return "done"

    chat = client.chats.create(
        model=f"{upstream}/fault-shell-once+len-12",
        config=types.GenerateContentConfig(tools=[bash]),
    )
    assert chat.send_message("Run something.").text
    assert len(ran) == 1
    assert len(chat.get_history()) == 4
    assert "".join(part.text or "" for part in chat.send_message_stream("And now?"))


def test_t149_tokens_are_counted(client: genai.Client, upstream: str) -> None:
    counted = client.models.count_tokens(
        model=f"{upstream}/fault-len-30", contents="Tell me about the harbour."
    )
    assert 1 <= (counted.total_tokens or 0) < 100
