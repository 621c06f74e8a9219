"""A fake vendor for each shape a verification, a detection or an alternate may meet."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from msgspec.structs import replace

from poolsite.secret_type import Secret
from providers.discovery import detect, roots, verify
from providers.discovery.alternates import try_alternates, twins_of
from providers.discovery.asking import Asker, Candidate
from providers.discovery.calling import says_model_missing
from tests.vendors import verify as shapes
from tests.vendors.server import Reply, Vendor
from tests.vendors.verify import CHAT, KEY


def asker(vendor: Vendor, path: str = "/v1", **values: Any) -> Asker:
    known = {"allow_private": True, "api_format": "openai", **values}
    return Asker(Candidate(vendor.root + path, **known), Secret(KEY), stage_s=4)


def look(vendor: Vendor, path: str = "/v1", **values: Any) -> verify.Verification:
    model = values.pop("model", "")
    found = verify.verify(asker(vendor, path, **values), model=model)
    assert list(found.probes) == list(verify.PROBES)
    assert KEY not in repr(found)
    assert all(len(each.error) <= 180 for each in found.probes.values())
    return found


def test_openai_shape() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        found = look(vendor)
    assert found.candidate_formats == ["openai"]
    assert found.recommended_api_format == found.detected_format == "openai"
    assert found.recommended_base_url == f"{vendor.root}/v1"
    assert (found.model, found.mode) == ("big-pro", "pinned")
    assert found.resolution_source == "detected"
    assert found.probes["chat"].status_code == 200
    assert found.probes["messages"].status_code == 404
    assert not found.responses_only


def test_anthropic_shape() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        found = look(vendor)
    assert found.candidate_formats == ["anthropic"]
    assert found.model == "claude-opus-4-5"
    assert found.auth_scheme == ""


def test_anthropic_shape_behind_a_bearer() -> None:
    def only_bearer(asked: Any) -> Reply:
        if "authorization" not in asked.headers:
            return shapes.anthropic_error(401, "authentication_error", "no bearer")
        return shapes.message_answer(asked)

    with Vendor() as vendor:
        vendor.on("POST", "/v1/messages", only_bearer)
        found = look(vendor, model="claude-x")
    assert found.recommended_api_format == "anthropic"
    assert found.auth_scheme == "bearer"


def test_responses_only_shape() -> None:
    with Vendor() as vendor:
        vendor.on("POST", "/v1/responses", shapes.guarded(shapes.response_answer))
        found = look(vendor)
    assert found.responses_only
    assert found.candidate_formats == ["responses"]
    assert (found.mode, found.responses_status) == ("pinned", 200)
    assert found.chat_error


def test_responses_plain_shape() -> None:
    with Vendor() as vendor:
        vendor.on("POST", "/responses", shapes.guarded(shapes.response_answer))
        found = look(vendor, "")
    assert found.responses_only
    assert found.recommended_base_url == vendor.root
    assert not found.probes["responses_v1"].reachable


def test_web_page_in_the_place_of_responses_is_no_endpoint() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        vendor.on("POST", "/v1/responses", shapes.page)
        vendor.on("POST", "/responses", shapes.page)
        found = look(vendor)
    assert found.candidate_formats == ["openai"]
    assert "web page" in found.probes["responses_v1"].error


@pytest.mark.parametrize(
    ("model", "order"),
    [
        ("claude-x", ["anthropic", "openai", "responses"]),
        ("gpt-5-codex", ["responses", "openai", "anthropic"]),
        ("llama", ["openai", "anthropic", "responses"]),
    ],
)
def test_several_formats_come_in_the_order_of_the_family(
    model: str, order: list[str]
) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor, model)
        shapes.anthropic_shaped(vendor, model)
        vendor.on("POST", "/v1/responses", shapes.guarded(shapes.response_answer))
        found = look(vendor)
    assert found.candidate_formats == order
    assert found.recommended_api_format == order[0]
    assert found.mode == "auto"


def test_what_worked_goes_before_what_was_merely_there() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor, "claude-x")
        refusal = shapes.anthropic_error(401, "authentication_error", "no")
        vendor.on("POST", "/v1/messages", refusal)
        found = look(vendor)
    assert found.candidate_formats == ["openai", "anthropic"]


@pytest.mark.parametrize("status", [400, 401, 403, 405])
def test_endpoint_that_refuses_is_reachable(status: int) -> None:
    with Vendor() as vendor:
        vendor.on("POST", CHAT, shapes.openai_error(status, f"no {KEY}"))
        found = look(vendor)
    assert found.probes["chat"].reachable
    assert found.recommended_api_format == "openai"
    assert found.refused == (status in (401, 403))


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_endpoint_that_is_away_is_not_reachable(status: int) -> None:
    with Vendor() as vendor:
        vendor.on("POST", CHAT, shapes.openai_error(status, "no"))
        found = look(vendor)
    assert not found.ok
    assert found.recommended_base_url == f"{vendor.root}/v1"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"message": "no", "code": "model_not_found"}}),
        (400, {"error": {"message": "Unknown model: big-pro"}}),
        (404, {"error": {"message": "The model `big-pro` does not exist"}}),
        (422, {"error": {"message": "invalid model"}}),
        (400, shapes.NO_MODEL_CHINESE),
        (404, {"error": {"message": "不支持的模型"}}),
    ],
)
def test_missing_model_leads_to_the_next(status: int, body: dict[str, Any]) -> None:
    def answer(asked: Any) -> Reply:
        if asked.json()["model"] == "big-pro":
            return Reply(body, status)
        return shapes.chat_answer(asked)

    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", shapes.openai_models("small-mini", "big-pro"))
        vendor.on("POST", CHAT, answer)
        found = look(vendor)
    assert found.probes["chat"].status_code == 200
    assert found.model == "small-mini"


@pytest.mark.parametrize(
    ("status", "text", "missing"),
    [
        (404, "model_not_found", True), (400, "no such model: x", True),
        (400, "Model 'x' is unknown", True), (422, "无效的模型", True),
        (401, "model_not_found", False), (500, "unknown model", False),
        (404, "Not Found", False), (400, "messages: field required", False),
    ],
)  # fmt: skip
def test_missing_model_is_told_from_other_errors(
    status: int, text: str, missing: bool
) -> None:
    assert says_model_missing(status, text) is missing


@pytest.mark.parametrize(
    ("pasted", "base", "cut"),
    [
        ("/v1/chat/completions", "/v1", True),
        ("/v1/messages/", "/v1", True),
        ("/v1/responses", "/v1", True),
        ("/v1/models", "/v1", True),
        ("/api/paas/v4/chat/completions", "/api/paas/v4", True),
        ("/v1/", "/v1", False),
        ("", "", False),
        ("/backend-api/codex/responses", "/backend-api/codex/responses", False),
    ],
)
def test_pasted_endpoint_is_cut_back_with_a_note(
    pasted: str, base: str, cut: bool
) -> None:
    found = roots.normalise(f"https://x.example{pasted}")
    assert found.base_url == f"https://x.example{base}"
    assert bool(found.note) is cut


def test_pasted_endpoint_is_verified_at_its_root() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        found = look(vendor, CHAT)
    assert found.recommended_base_url == f"{vendor.root}/v1"
    assert found.root == vendor.root
    assert "/chat/completions" in found.note


def test_dead_server_ends_with_words() -> None:
    with Vendor() as vendor:
        gone = asker(vendor)
    found = verify.verify(gone)
    assert not found.ok
    assert "nothing answers" in found.probes["chat"].error


# Detection


def test_detection_finds_the_only_format() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        found = detect.detect(asker(vendor, ""))
    assert (found.api_format, found.is_sure) == ("anthropic", True)
    assert found.base_url == f"{vendor.root}/v1"
    assert found.scores["anthropic"].points == 17


def test_detection_finds_google_by_its_list() -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1beta/models", shapes.google_models("gemini"))
        found = detect.detect(asker(vendor, ""))
    assert found.api_format == "google"
    assert found.base_url == f"{vendor.root}/v1beta"


def test_detection_counts_hits_tools_and_pictures() -> None:
    with Vendor() as vendor:
        vendor.on("POST", CHAT, shapes.guarded(shapes.chat_answer))
        vendor.on("POST", "/chat/completions", shapes.guarded(shapes.chat_answer))
        vendor.on("POST", "/v1/messages", shapes.anthropic_error(400, "x", "no"))
        scores = detect.detect(asker(vendor, "")).scores
    assert scores["openai"].points == 10 + 2 + 4 + 3
    assert scores["anthropic"].points == 10


def test_detection_without_anything_is_openai() -> None:
    with Vendor() as vendor:
        found = detect.detect(asker(vendor))
    assert (found.api_format, found.is_sure) == ("openai", False)


def test_detection_takes_no_web_page_for_an_endpoint() -> None:
    with Vendor() as vendor:
        for path in ("/v1/messages", "/messages", "/v1/responses"):
            vendor.on("POST", path, shapes.page)
        vendor.on("POST", CHAT, shapes.openai_error(401, "no"))
        assert detect.detect(asker(vendor)).api_format == "openai"


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        ({"anthropic": 10, "openai": 10}, "anthropic"),
        ({"responses": 10, "google": 10}, "responses"),
        ({"openai": 10, "google": 10}, "openai"),
        ({"openai": 12, "anthropic": 10}, "openai"),
        ({"openai": 0}, ""),
        ({}, ""),
    ],
)
def test_level_scores_are_decided_by_rank(points: dict[str, int], chosen: str) -> None:
    assert detect.choose(points) == chosen


# Alternates


@pytest.fixture
def private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = replace(settings.CONFIG, allow_private=("127.0.0.0/8",))
    monkeypatch.setattr(settings, "CONFIG", open_)


@pytest.mark.usefixtures("private_network")
def test_alternate_that_takes_the_key_wins() -> None:
    with Vendor() as primary, Vendor() as dead, Vendor() as other:
        primary.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        dead.on("GET", "/v1/models", shapes.openai_error(401, "no"))
        shapes.openai_shaped(other, root="/v1")
        start = asker(primary).candidate
        urls = [f"{each.root}/v1" for each in (primary, dead, other)]
        won = try_alternates(start, Secret(KEY), urls)
        assert primary.asked == []
    assert won is not None
    assert won.base_url == f"{other.root}/v1"
    assert won.models == ("big-pro", "small-mini")


@pytest.mark.usefixtures("private_network")
def test_alternate_is_tried_in_each_format() -> None:
    with Vendor() as other:
        answer = shapes.guarded(shapes.message_answer)
        other.on("POST", "/anthropic/messages", answer)
        start = Candidate("https://a.example/v1", "openai", allow_private=True)
        won = try_alternates(
            start,
            Secret(KEY),
            [f"{other.root}/anthropic"],
            formats=("openai", "anthropic"),
            models=("claude-x",),
        )
    assert won is not None
    assert (won.api_format, won.model) == ("anthropic", "claude-x")


@pytest.mark.usefixtures("private_network")
def test_alternate_that_names_its_format_is_asked_in_it() -> None:
    with Vendor() as other:
        shapes.anthropic_shaped(other, root="/anthropic/v1")
        start = Candidate("https://a.example/v1", "openai")
        won = try_alternates(start, Secret(KEY), [f"{other.root}/anthropic/v1"])
        assert other.last.headers["x-api-key"] == KEY
    assert won is not None
    assert won.api_format == "anthropic"


def test_private_alternate_is_not_allowed_by_the_first_address() -> None:
    with Vendor() as primary, Vendor() as other:
        shapes.openai_shaped(other)
        start = asker(primary).candidate
        assert try_alternates(start, Secret(KEY), [f"{other.root}/v1"]) is None
        assert other.asked == []


@pytest.mark.usefixtures("private_network")
def test_no_alternate_is_none() -> None:
    with Vendor() as other:
        other.on("GET", "/v1/models", shapes.openai_error(403, "no"))
        start = Candidate("https://a.example/v1", "openai", allow_private=True)
        assert try_alternates(start, Secret(KEY), [f"{other.root}/v1"]) is None


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("https://api.moonshot.cn/v1", "https://api.moonshot.ai/v1"),
        ("https://api.siliconflow.com/v1", "https://api.siliconflow.cn/v1"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1",
         "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        ("https://open.bigmodel.cn/api/paas/v4", "https://api.z.ai/api/paas/v4"),
        ("https://api.stepfun.com/v1", "https://api.stepfun.ai/v1"),
        ("https://api.minimax.io/v1", "https://api.minimaxi.com/v1"),
    ],
)  # fmt: skip
def test_twin_sites_of_a_vendor_are_known(here: str, there: str) -> None:
    assert twins_of(here) == (there,)


def test_strangers_have_no_twin() -> None:
    assert twins_of("https://api.moonshot.cn.evil.example/v1") == ()
