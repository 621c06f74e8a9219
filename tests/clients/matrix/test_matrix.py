"""Every official SDK through the pool to every upstream dialect, feature by feature."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.matrix.features import FAULTS, FEATURES, MODELS, Where
from tests.clients.matrix.speakers import INEXPRESSIBLE, SPEAKERS
from tests.clients.matrix.told import Speaker
from tests.rig.stage import Scene, open_stage
from tests.rig.thread import UpstreamThread

pytestmark = pytest.mark.process

UPSTREAMS = {
    "up-openai": ("openai", "/v1"),
    "up-responses": ("responses", "/v1"),
    "up-anthropic": ("anthropic", "/v1"),
    "up-google": ("google", "/v1beta"),
}
CELLS = [
    pytest.param(speaker, upstream, feature, id=f"{speaker} {upstream} {feature}")
    for speaker in SPEAKERS
    for upstream in UPSTREAMS
    for feature in FEATURES
    if (speaker, feature) not in INEXPRESSIBLE
]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene[UpstreamThread]]:
    directory = tmp_path_factory.mktemp("matrix")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        root = scene.upstream.base_url.removesuffix("/v1")
        for slug, (api_format, version) in UPSTREAMS.items():
            places = {slug: sorted(set(MODELS.values()))}
            for fault in FAULTS:
                for name in SPEAKERS:
                    places[f"{slug}-{fault}-{name}"] = [MODELS[fault]]
            for place, models in places.items():
                scene.provider(
                    place,
                    models=models,
                    api_keys=[f"sk-{place}-0123"],
                    base_url=root + version,
                    api_format=api_format,
                )
        scene.price("gpt-test", input_usd="3", output_usd="15")
        scene.price("fault-*", input_usd="3", output_usd="15")
        scene.key("client")
        scene.open()
        yield scene


@pytest.fixture(scope="module")
def speakers(town: Scene[UpstreamThread]) -> Iterator[dict[str, Speaker]]:
    made = {
        name: speaker(town.product.url.removesuffix("/v1"), town.keys["client"])
        for name, speaker in SPEAKERS.items()
    }
    yield made
    for each in made.values():
        each.close()


@pytest.mark.parametrize(("speaker", "upstream", "feature"), CELLS)
def test_cell(
    town: Scene[UpstreamThread],
    speakers: dict[str, Speaker],
    speaker: str,
    upstream: str,
    feature: str,
) -> None:
    where = Where(upstream, speaker, town.upstream)
    FEATURES[feature](speakers[speaker], where)


def test_few_cells_cannot_be_said() -> None:
    assert len(INEXPRESSIBLE) * len(UPSTREAMS) <= 12
