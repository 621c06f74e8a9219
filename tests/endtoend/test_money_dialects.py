"""An answer whose vendor states half its usage, or none, is never served for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.endtoend.asking import Asker, Town
from tests.rig.stage import open_stage

pytestmark = pytest.mark.process

FORMATS = {
    "openai": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "google": "/v1beta",
    "ollama": "",
}
FAULTS = ["fault-no-usage+len-60", "fault-usage-absurd+len-60"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("halves")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        root = scene.upstream.base_url.removesuffix("/v1")
        for api_format, version in FORMATS.items():
            scene.provider(
                f"up-{api_format}",
                models=[*FAULTS, "fault-len-20+no-finish"],
                base_url=root + version,
                api_format=api_format,
            )
        scene.price("fault-*", input_usd="3", output_usd="15")
        scene.key("client")
        scene.open()
        yield scene


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("api_format", FORMATS)
def test_usage_a_vendor_leaves_out_is_estimated(
    town: Town, api_format: str, fault: str, stream: bool
) -> None:
    asker = Asker(town)
    reply = asker.ask(f"up-{api_format}/{fault}", stream=stream)
    assert reply.status == 200, reply.body
    _, (attempt,) = asker.rows(reply)
    assert attempt.estimated
    assert attempt.input_tokens
    assert 40 <= (attempt.output_tokens or 0) <= 80
    assert (attempt.cost_nano_usd or 0) > 60 * 10_000


def test_placeholder_at_a_streams_start_is_no_count(town: Town) -> None:
    """Anthropic states one token of output before it wrote any."""
    asker = Asker(town)
    reply = asker.ask("up-anthropic/fault-len-20+no-finish", stream=True)
    _, (attempt,) = asker.rows(reply)
    assert attempt.estimated
    assert 12 <= (attempt.output_tokens or 0) <= 30
