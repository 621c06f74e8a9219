from __future__ import annotations

import json

from providers.formats import registry
from tests.providers.formats.anthropic_messages.messages import FORMAT


def test_the_dialect_is_registered():
    assert registry.get("anthropic") is FORMAT
    assert {(each.path, each.op) for each in FORMAT.routes} == {
        ("/v1/messages", "chat"),
        ("/v1/messages/count_tokens", "count_tokens"),
    }


def test_t135_models_are_listed_as_anthropic_lists_them():
    listed = json.loads(FORMAT.models_list(["claude-a", "b/c"], created=86_400))
    assert listed["data"][0] == {
        "id": "claude-a",
        "display_name": "claude-a",
        "created_at": "1970-01-02T00:00:00Z",
        "type": "model",
    }
    assert (listed["first_id"], listed["last_id"]) == ("claude-a", "b/c")
    assert listed["has_more"] is False
    assert json.loads(FORMAT.model_body("b/c", created=86_400)) == listed["data"][1]
    empty = json.loads(FORMAT.models_list([]))
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)


def test_the_upstream_side_has_its_paths():
    path = FORMAT.upstream_path
    assert path("chat", model="m", stream=True) == "/messages"
    assert path("count_tokens", model="m", stream=False) == "/messages/count_tokens"
    assert path("models", model="", stream=False) == "/models?limit=1000"
    assert path("model", model="a/b", stream=False) == "/models/a%2Fb"


def test_p116_the_kind_of_secret_decides_its_header():
    assert FORMAT.auth_headers("sk-ant-api03-x") == {"x-api-key": "sk-ant-api03-x"}
    oauth = FORMAT.auth_headers("sk-ant-oat01-x")
    assert oauth == {"authorization": "Bearer sk-ant-oat01-x"}
