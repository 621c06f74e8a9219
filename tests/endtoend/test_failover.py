"""What a failing vendor does to the client: nothing, as long as another can serve."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.endtoend.asking import Asker, Town, is_clean_end
from tests.rig.driver import Load, Shape, run_closed
from tests.rig.ports import closed_port
from tests.rig.stage import open_stage
from tests.rig.thread import UpstreamThread

pytestmark = pytest.mark.process

BOTH, JSON_ONLY, STREAM_ONLY = (False, True), (False,), (True,)
TIMEOUTS = {"first_byte_s": 0.8, "idle_s": 0.8, "connect_s": 0.8}


@dataclass(frozen=True)
class Fault:
    """One way to fail before the first useful event."""

    spec: str
    streams: tuple[bool, ...] = BOTH

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.spec.lower())


BEFORE = [
    Fault("401"),
    Fault("403"),
    Fault("402"),
    Fault("404"),
    Fault("429"),
    Fault("429-quota"),
    Fault("429-retry-after-soon"),
    Fault("500"),
    Fault("500-text"),
    Fault("502"),
    Fault("503"),
    Fault("504"),
    Fault("529"),
    Fault("silence"),
    Fault("cut-rst-headers"),
    Fault("cut-fin-headers"),
    Fault("cut-rst-bytes-1"),
    Fault("cut-fin-bytes-1"),
    Fault("cut-rst-bytes-100", JSON_ONLY),
    Fault("cut-fin-bytes-100", JSON_ONLY),
    Fault("wrong-length-long-20", JSON_ONLY),
    Fault("wrong-length-short-20", JSON_ONLY),
    Fault("huge-line-5000000", STREAM_ONLY),
    Fault("garbled", JSON_ONLY),
    Fault("html-200"),
    Fault("error-200-json"),
    Fault("error-200-sse", STREAM_ONLY),
    Fault("empty-stream", STREAM_ONLY),
    Fault("redirect-self"),
    Fault("redirect-metadata"),
    Fault("redirect-file"),
]
MIDDLE = [
    "cut-rst-chunk-20",
    "cut-fin-chunk-20",
    "stall-20",
    "error-mid-20",
    "garbled",
    "cut-rst-bytes-2000",
    "bad-json-20",
]
ENDINGS = ["no-done", "done-twice", "no-space", "crlf", "bom", "byte-by-byte", "comments-500"]  # fmt: skip
RETRY_AFTER = {
    "429-retry-after-1": (1, 1),
    "429-retry-after-0": (1, 1),
    "429-retry-after--5": (1, 1),
    "429-retry-after-soon": (1, 300),
    "429-retry-after-1e9": (3_600, 86_400),
    "429-retry-after-date-19": (1, 19),
    "429-retry-after-ms-1500": (1, 2),
}
SECRETS = ["echo-secret-header", "echo-secret-body", "400+echo-secret-error"]
SECRET = "sk-secret-0123456789abcdefghijklmnop"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("failover")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with (
        UpstreamThread(elsewhere) as other,
        open_stage(directory, arguments=["--no-worker"]) as scene,
    ):
        scene.price("*", input_usd="3", output_usd="15")
        for fault in BEFORE:
            _pair(scene, "before", fault.slug, fault.spec, other.base_url)
        for spec in MIDDLE:
            slug = Fault(spec).slug
            _pair(scene, "middle", slug, f"len-200+{spec}", other.base_url)
        for number, spec in enumerate(RETRY_AFTER):
            _single(scene, f"retry-{number}", spec)
        for spec in ENDINGS:
            _single(scene, f"ending-{spec}", f"len-60+{spec}")
        for number, spec in enumerate(SECRETS):
            key = f"{SECRET}{number}"
            scene.provider(
                f"secret-{number}", models=[f"secret-{number}"], api_keys=[key]
            )
            scene.upstream.order(key, spec)
        dead = f"http://127.0.0.1:{closed_port()}/v1"
        scene.provider(
            "dead",
            models=["refused"],
            api_keys=["sk-dead-01"],
            base_url=dead,
            priority=90,
        )
        scene.provider("alive", models=["refused"], api_keys=["sk-alive-01"])
        three = ["sk-one-of-three-bad", "sk-two-of-three", "sk-three-of-three"]
        scene.provider("three", models=["three"], api_keys=three)
        scene.upstream.order(three[0], "503")
        scene.provider(
            "parked", models=["parked"], api_keys=["sk-parked-bad", "sk-parked"]
        )
        scene.upstream.order("sk-parked-bad", "401")
        scene.setting(keepalive_after_s=0)
        scene.key("client")
        scene.open()
        yield scene


def _pair(scene: Town, kind: str, slug: str, spec: str, other_url: str) -> None:
    """Give a model a provider that fails and, of lower priority, one that does not."""
    model = f"{kind}-{slug}"
    key = f"sk-{model}-bad"
    scene.upstream.order(key, spec)
    scene.provider(
        f"{model}-bad", models=[model], api_keys=[key], priority=90, timeouts=TIMEOUTS
    )
    # A host that misbehaves is passed over whole, so the other one is elsewhere.
    scene.provider(
        f"{model}-good",
        models=[model],
        api_keys=[f"sk-{model}-good"],
        base_url=other_url,
    )


def _single(scene: Town, model: str, spec: str) -> None:
    key = f"sk-{model}-only"
    scene.upstream.order(key, spec)
    scene.provider(model, models=[model], api_keys=[key], timeouts=TIMEOUTS)


@pytest.fixture
def asker(town: Town) -> Asker:
    return Asker(town)


def pairs() -> list[Any]:
    return [
        pytest.param(fault, stream, id=f"{fault.spec}-{'stream' if stream else 'json'}")
        for fault in BEFORE
        for stream in fault.streams
    ]


@pytest.mark.parametrize(("fault", "stream"), pairs())
def test_second_provider_answers_when_the_first_fails_early(
    fault: Fault, stream: bool, town: Town, asker: Asker
) -> None:
    model = f"before-{fault.slug}"
    reply = asker.ask(model, stream=stream)
    assert reply.status == 200, reply.body
    assert reply.headers["x-pool-provider"] == f"{model}-good"
    healthy = asker.ask_directly(model, stream=stream)
    assert reply.body == healthy.body
    request, attempts = asker.rows(reply)
    assert (request.status, request.attempts) == (200, len(attempts))
    assert attempts[-1].outcome == "ok"
    # One retry of the same candidate at most; none once it is cooling.
    assert len(attempts) <= 3
    # Refused calls cost nothing; what was taken on may be billed by the vendor.
    assert request.cost_nano_usd == sum(row.cost_nano_usd or 0 for row in attempts)
    for row in attempts[:-1]:
        if row.status is not None and row.status >= 400:
            assert not row.cost_nano_usd
    assert town.upstream.control.canary_hits == 0


def test_refused_connection_costs_little_time(town: Town, asker: Asker) -> None:
    for _ in range(5):
        reply = asker.ask("refused")
        assert reply.headers["x-pool-provider"] == "alive"
        assert float(reply.headers["x-pool-overhead-ms"]) < 500


@pytest.mark.parametrize("spec", MIDDLE)
def test_t128_fault_after_the_first_event_is_told_inside_the_stream(
    spec: str, asker: Asker
) -> None:
    model = f"middle-{Fault(spec).slug}"
    reply = asker.ask(model, stream=True)
    assert reply.status == 200
    assert reply.headers["x-pool-provider"] == f"{model}-bad"
    assert reply.headers["x-pool-attempts"] == "1"
    events = [event for event in reply.body.split(b"\n\n") if event.startswith(b"data")]
    assert b"[DONE]" not in reply.body
    error = json.loads(events[-1].removeprefix(b"data: "))["error"]
    assert error["message"]
    assert error["request_id"] == reply.request_id
    told = [json.loads(event[5:]) for event in events[:-1]]
    roles = [each["choices"][0]["delta"].get("role") for each in told]
    assert roles.count("assistant") == 1
    assert not any(each["choices"][0]["finish_reason"] for each in told)
    request, attempts = asker.rows(reply)
    assert request.attempts == len(attempts) == 1
    assert attempts[0].estimated
    assert attempts[0].outcome != "ok"
    assert (
        0 < (attempts[0].cost_nano_usd or 0) <= (attempts[0].reservation_nano_usd or 0)
    )


@pytest.mark.parametrize("spec", ENDINGS)
def test_odd_but_whole_stream_ends_cleanly(spec: str, town: Town, asker: Asker) -> None:
    reply = asker.ask(f"ending-{spec}", stream=True)
    assert reply.status == 200
    text = b"".join(reply.body.replace(b"\r\n", b"\n").partition(b"data:")[1:])
    assert text.count(b"[DONE]") == 1
    assert text.rstrip().endswith(b"[DONE]")
    assert b'"error"' not in reply.body
    request, _ = asker.rows(reply)
    assert (request.status, request.output_tokens, request.estimated) == (
        200,
        60,
        False,
    )


@pytest.mark.parametrize("number", range(len(RETRY_AFTER)))
def test_t115_retry_after_of_any_form_becomes_a_sane_pause(
    number: int, asker: Asker
) -> None:
    low, high = list(RETRY_AFTER.values())[number]
    model = f"retry-{number}"
    first = asker.ask(model)
    assert first.status == 429
    assert low <= int(first.headers["retry-after"]) <= high
    before = asker.town.upstream.control.by_model[model]
    second = asker.ask(model)
    assert second.status == 429
    assert 1 <= int(second.headers["retry-after"]) <= high
    assert asker.town.upstream.control.by_model[model] == before, "asked while cooling"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("number", range(len(SECRETS)))
def test_t139_secret_a_vendor_echoes_never_reaches_the_client(
    number: int, stream: bool, asker: Asker
) -> None:
    reply = asker.ask(f"secret-{number}", stream=stream)
    told = str(reply.headers).encode() + reply.body
    assert SECRET.encode() not in told
    assert SECRET[-12:].encode() not in told


def test_one_bad_credential_of_three_costs_few_calls(town: Town, asker: Asker) -> None:
    load = Load(town.product.url, town.keys["client"], [Shape("three")])
    outcomes = asyncio.run(run_closed(load, clients=8, count=200, seconds=30))
    assert [each.kind for each in outcomes].count("answered") == 200
    assert town.upstream.control.by_model["three"] <= 220


def test_refused_credential_is_parked_at_once(town: Town, asker: Asker) -> None:
    for _ in range(20):
        assert asker.ask("parked").status == 200
    assert town.upstream.control.by_key["sk-parked-bad"] <= 1


def test_stream_is_never_ended_cleanly_by_a_fault(asker: Asker) -> None:
    for spec in MIDDLE:
        reply = asker.ask(f"middle-{Fault(spec).slug}", stream=True)
        assert reply.headers["x-pool-provider"].endswith("-good") or not is_clean_end(
            reply.body
        )
