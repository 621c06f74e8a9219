"""The ways of the Anthropic SDK beyond a plain call, on every upstream dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from pydantic import BaseModel

from tests.clients.sdks.conftest import Town

pytestmark = pytest.mark.process

HELLO: Any = [{"role": "user", "content": "Tell me about the harbour."}]
VERSIONS = ("2023-06-01", "2026-10-21")


class Weather(BaseModel):
    """An answer by schema."""

    city: str
    days: int


@pytest.fixture(params=VERSIONS)
def client(
    request: pytest.FixtureRequest, house: Town, root: str
) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=root,
        api_key=house.keys["client"],
        max_retries=0,
        default_headers={"anthropic-version": request.param},
    ) as made:
        yield made


def test_t148_a_message_is_made_whole_and_by_the_stream_helper(
    client: anthropic.Anthropic, upstream: str
) -> None:
    asked: dict[str, Any] = {
        "model": f"{upstream}/fault-len-30",
        "max_tokens": 1000,
        "messages": HELLO,
    }
    message = client.messages.create(**asked)
    assert message.content[0].type == "text"
    assert message.model == asked["model"]
    with client.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        done = stream.get_final_message()
    assert text
    assert done.stop_reason == "end_turn"
    assert done.usage.output_tokens


def test_t148_the_beta_namespace_is_served_alike(
    client: anthropic.Anthropic, upstream: str
) -> None:
    asked: dict[str, Any] = {
        "model": f"{upstream}/fault-len-30",
        "max_tokens": 1000,
        "messages": HELLO,
        "betas": ["context-management-2025-06-27", "made-up-2030-01-01"],
    }
    assert client.beta.messages.create(**asked).stop_reason == "end_turn"
    with client.beta.messages.stream(**asked) as stream:
        assert stream.get_final_message().stop_reason == "end_turn"


def test_t148_the_tool_runner_goes_on_to_the_last_answer(
    client: anthropic.Anthropic, upstream: str
) -> None:
    ran: list[str] = []

    @beta_tool
    def bash(command: str) -> str:
        """Run a command.

        Args:
            command: what to run
        """
        ran.append(command)
        return "done"

    runner = client.beta.messages.tool_runner(
        model=f"{upstream}/fault-shell-once+len-12",
        max_tokens=1000,
        messages=HELLO,
        tools=[bash],
    )
    last = runner.until_done()
    assert len(ran) == 1
    assert last.stop_reason == "end_turn"
    assert last.content[0].type == "text"


def test_t148_a_message_is_parsed_by_schema(
    client: anthropic.Anthropic, upstream: str
) -> None:
    parsed = client.messages.parse(
        model=f"{upstream}/gpt-test",
        max_tokens=1000,
        messages=HELLO,
        output_format=Weather,
    )
    assert isinstance(parsed.parsed_output, Weather)


def test_t148_tokens_are_counted_and_models_listed(
    client: anthropic.Anthropic, upstream: str
) -> None:
    model = f"{upstream}/fault-len-30"
    counted = client.messages.count_tokens(model=model, messages=HELLO)
    assert 1 <= counted.input_tokens < 100
    beta = client.beta.messages.count_tokens(model=model, messages=HELLO)
    assert beta.input_tokens == counted.input_tokens
    listed = [each.id for each in client.models.list(limit=1000)]
    assert "fault-len-30" in listed


def test_t126_the_sdk_does_not_try_again_what_will_not_change(
    client: anthropic.Anthropic, house: Town
) -> None:
    before = len(house.upstream.truth())
    patient = client.with_options(max_retries=2, timeout=5)
    for _ in range(2):
        # The second time the account rests for hours, which an SDK would sleep through.
        with pytest.raises(anthropic.APIStatusError) as caught:
            patient.messages.create(
                model="poor/fault-429-quota", max_tokens=10, messages=HELLO
            )
        assert caught.value.response.headers["x-should-retry"] == "false"
    house.upstream.wait_idle()
    assert len(house.upstream.truth()) - before <= 1
