"""One running product and one fault upstream for every client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.clients.openai_client import Town, make
from tests.rig.product import DEFAULT_API_KEY
from tests.rig.stage import open_stage

CONTENT = [
    "gpt-test",
    "gpt-4o-test",
    "fault-tools",
    "fault-tools-parallel",
    "fault-tools-fragmented",
    "fault-tools-parallel+tools-fragmented",
    "fault-refusal",
    "fault-reasoning-20",
    "fault-len-6000",
    "fault-len-300",
    "fault-cached-5",
    "fault-usage-last-content",
    "fault-slow-first-2500",
    "fault-len-40+gap-30",
]
FAULTS = {
    "refuses": ["fault-400-param-temperature", "fault-400-context", "fault-422"],
    "unknowing": ["fault-404"],
    "limited": ["fault-429-retry-after-17"],
    "poor": ["fault-429-quota"],
    "impatient": ["fault-429-quota+ok"],
    "strict": ["fault-401"],
    "broken": ["fault-500"],
    "busy": ["fault-503"],
    "worded": ["fault-500-text"],
    "silent": ["fault-silence"],
    "stalling": ["fault-len-200+stall-20"],
    "cutting": ["fault-len-200+cut-rst-chunk-20"],
    "cutting-early": ["fault-len-200+cut-rst-chunk-5"],
    "failing": ["fault-len-200+error-mid-20"],
    "slow": ["fault-slow-first-1800+len-20"],
}


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("clients")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=CONTENT)
        # A failing credential cools down: each fault has a provider of its own.
        for slug, models in FAULTS.items():
            timeouts = {"first_byte_s": 1.0, "idle_s": 1.0}
            if slug == "slow":
                timeouts = {}
            scene.provider(
                slug, models=models, api_keys=[f"sk-{slug}-0123"], timeouts=timeouts
            )
        scene.alias("house-model", "up/gpt-test")
        scene.setting(keepalive_after_s=1.0, keepalive_every_s=0.5)
        scene.price("gpt-test", input_usd="3", output_usd="15")
        scene.price("fault-*", input_usd="3", output_usd="15")
        scene.key("client")
        scene.key("narrow", model_access="only", models_allowed=["gpt-test"])
        scene.open()
        yield scene


@pytest.fixture
def pool(town: Town) -> Iterator[OpenAI]:
    with make(town) as client:
        yield client


@pytest.fixture
def direct(town: Town) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=town.upstream.base_url, api_key=DEFAULT_API_KEY, max_retries=0
    ) as client:
        yield client
