"""Cooldowns of the running product: shared by its workers, kept, shown and cleared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.rig.plain import Reply, call
from tests.rig.product import Product
from tests.rig.stage import Scene, open_stage
from tests.rig.thread import UpstreamThread

pytestmark = pytest.mark.process
KEY = "sk-limited-bad"
MODEL = "harbour"
WITHIN_S = 2.0


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene[UpstreamThread]]:
    directory = tmp_path_factory.mktemp("cooldowns")
    arguments = ["--no-worker", "--workers", "2"]
    environment = {"POOL_LIMITS": "approximate"}
    with open_stage(directory, arguments=arguments, env=environment) as made:
        made.price("*", input_usd="1", output_usd="1")
        made.provider("limited", models=[MODEL], api_keys=[KEY], priority=90)
        made.provider("other", models=[MODEL], api_keys=["sk-other"])
        made.key("client")
        made.open()
        yield made


def ask(scene: Scene[UpstreamThread]) -> Reply:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    # A new connection each time: the kernel hands it to one of the workers.
    return call(f"{scene.product.url}/chat/completions", scene.keys["client"], body)


def served_by(scene: Scene[UpstreamThread], count: int = 12) -> set[str]:
    """Ask often enough that every worker is met; return who served."""
    return {ask(scene).headers["x-pool-provider"] for _ in range(count)}


def listed(product: Product) -> list[str]:
    rows = json.loads(product.pool("cooldown", "list", "--json"))
    return [f"{row['scope']} {row['reason']}" for row in rows]


def within(seconds: float, is_so: Callable[[], bool]) -> float:
    """Wait for something; return how long it took. Errors: AssertionError."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)
    return time.monotonic() - begun


def test_workers_learn_from_each_other_and_follow_a_person(
    scene: Scene[UpstreamThread],
) -> None:
    """Known to all workers, kept over a restart, cleared everywhere in two seconds."""
    scene.upstream.order(KEY, "429-retry-after-600")
    assert ask(scene).headers["x-pool-provider"] == "other"
    time.sleep(WITHIN_S)
    asked = scene.upstream.control.by_key[KEY]
    assert served_by(scene) == {"other"}
    assert scene.upstream.control.by_key[KEY] == asked
    assert listed(scene.product) == ["limit rate_limit"]

    scene.upstream.order(KEY, None)
    scene.product.restart()
    assert served_by(scene) == {"other"}

    assert "1 cooldown cleared" in scene.product.pool("cooldown", "clear", "--all")
    within(WITHIN_S, lambda: served_by(scene) == {"limited"})
    assert listed(scene.product) == []
