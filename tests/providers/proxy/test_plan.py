from __future__ import annotations

import pytest

from providers.snapshot.types import AliasRecord, TargetRecord
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream


async def test_an_unknown_model_is_refused_with_near_names_and_recorded(
    pool: Pool,
) -> None:
    answer = await pool.call(chat("gpt-tset"))
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "'gpt-test'" in answer.error["message"]
    assert pool.request.request is not None
    assert pool.request.request.status == 404
    assert pool.request.head.asked_model == "gpt-tset"


async def test_near_names_a_key_may_not_use_are_not_told(pool: Pool) -> None:
    pool.set_key(model_access="only", models_allowed=("other*",))
    answer = await pool.call(chat("gpt-tset"))
    assert answer.status == 404
    assert "gpt-test'" not in answer.error["message"]


@pytest.mark.parametrize(
    ("access", "globs", "status"),
    [
        ("all", (), 200),
        ("only", ("gpt-*",), 200),
        ("only", ("p1/gpt-test",), 200),
        ("only", ("claude-*",), 403),
        ("only", (), 403),
        ("none", (), 403),
    ],
)
async def test_access_to_models_is_explicit(
    pool: Pool, access: str, globs: tuple[str, ...], status: int
) -> None:
    pool.set_key(model_access=access, models_allowed=globs)
    answer = await pool.call()
    assert answer.status == status
    if status == 403:
        assert answer.error["code"] == "model_not_allowed"


async def test_access_to_providers_is_respected(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.add_provider(upstream.base_url)
    pool.set_key(provider_access="only", providers_allowed=("p2",))
    assert (await pool.call()).header("x-pool-provider") == "p2"
    pool.set_key(provider_access="only", providers_allowed=("p9",))
    assert (await pool.call()).error["code"] == "provider_not_allowed"


async def test_an_alias_leads_to_its_target_and_the_asked_name_comes_back(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.aliases["fast"] = AliasRecord("fast", (TargetRecord("gpt-test"),))
    pool.changed()
    answer = await pool.call(chat("fast"))
    assert answer.json["model"] == "fast"
    assert answer.header("x-pool-model") == "gpt-test"
    assert upstream.served[0].model == "gpt-test"
    stream = await pool.call(chat("fast", stream=True))
    assert {e["model"] for e in stream.events if e != "[DONE]"} == {"fast"}


async def test_a_name_nobody_serves_now_is_503(pool: Pool) -> None:
    pool.aliases["soon"] = AliasRecord("soon", (TargetRecord("not-yet"),))
    pool.changed()
    answer = await pool.call(chat("soon"))
    assert answer.status == 503
    assert answer.header("retry-after")
    assert answer.error["code"] == "no_provider"


async def test_a_model_whose_providers_lack_keys_says_so(pool: Pool) -> None:
    pool.set_provider(1, credentials=())
    answer = await pool.call()
    assert (answer.status, answer.error["code"]) == (503, "no_credential")
    assert answer.header("retry-after")


async def test_a_format_nobody_can_join_is_passed_over(pool: Pool) -> None:
    pool.set_provider(1, format="martian")
    answer = await pool.call()
    assert answer.status == 503


async def test_the_list_of_models_holds_what_the_key_may_ask_for(pool: Pool) -> None:
    pool.aliases["fast"] = AliasRecord("fast", (TargetRecord("gpt-test"),))
    pool.changed()
    answer = await pool.call(op="models", method="GET", path="/v1/models")
    assert [model["id"] for model in answer.json["data"]] == ["fast", "gpt-test"]
    assert not pool.journal.records
    one = await pool.call(op="model", path_model="fast")
    assert one.json["id"] == "fast"
    pool.set_key(model_access="only", models_allowed=("fast",))
    listed = await pool.call(op="models", method="GET")
    assert [model["id"] for model in listed.json["data"]] == ["fast"]
    assert (await pool.call(op="model", path_model="gpt-tes")).status == 404


async def test_the_process_refuses_work_it_cannot_take(pool: Pool) -> None:
    pool.journal.is_open = False
    answer = await pool.call()
    assert (answer.status, answer.error["code"]) == (503, "cannot_record")
    assert pool.request.request is not None
    pool.journal.is_open = True
    pool.set(max_in_flight=0)
    assert (await pool.call()).error["code"] == "overloaded"
    pool.set(max_in_flight=10)
    pool.pipeline.is_draining = True
    assert (await pool.call()).error["code"] == "draining"
