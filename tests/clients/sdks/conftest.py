"""One running product with an upstream of each of four dialects, for the SDKs' ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.stage import Scene, open_stage
from tests.rig.thread import UpstreamThread

Town = Scene[UpstreamThread]
UPSTREAMS = {
    "openai": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "google": "/v1beta",
}
MODELS = [
    "gpt-test",
    "fault-len-30",
    "fault-len-400+gap-5",
    "fault-shell-once+len-12",
    "fault-silence",
]


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("sdks")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        root = scene.upstream.base_url.removesuffix("/v1")
        for api_format, version in UPSTREAMS.items():
            scene.provider(
                api_format,
                models=MODELS,
                api_keys=[f"sk-{api_format}-0123"],
                base_url=root + version,
                api_format=api_format,
            )
        scene.provider("poor", models=["fault-429-quota"])
        scene.price("gpt-test", input_usd="3", output_usd="15")
        scene.price("fault-*", input_usd="3", output_usd="15")
        scene.key("client")
        scene.open()
        yield scene


@pytest.fixture(params=UPSTREAMS)
def upstream(request: pytest.FixtureRequest) -> str:
    """Name one of the four."""
    return str(request.param)


@pytest.fixture
def root(house: Town) -> str:
    """Return the pool's address without a version."""
    return house.product.url.removesuffix("/v1")
