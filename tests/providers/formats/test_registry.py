from __future__ import annotations

import json
import subprocess
import sys

import pytest

from providers.formats import registry
from tests.providers.formats.chat import FORMAT


def test_every_format_answers_to_its_id():
    assert "openai" in registry.formats()
    for format_id, wire in registry.formats().items():
        assert wire.id == format_id
        assert registry.get(format_id) is wire
        assert registry.bridge(format_id, format_id) is not None


def test_an_unknown_format_is_named():
    with pytest.raises(registry.UnknownFormatError, match="morse"):
        registry.get("morse")


def test_a_pair_without_a_bridge_has_none():
    assert registry.bridge("openai", "morse") is None
    assert registry.bridge("morse", "morse") is None


def test_models_are_listed_as_openai_lists_them():
    listed = json.loads(FORMAT.models_list(["a", "b/c"], created=5))
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["a", "b/c"]
    assert listed["data"][0] == json.loads(FORMAT.model_body("a", created=5))
    assert listed["data"][0] == {
        "id": "a",
        "object": "model",
        "created": 5,
        "owned_by": "provider-pool",
    }


def test_the_upstream_side_is_bearer_and_plain_paths():
    assert FORMAT.auth_headers("k") == {"authorization": "Bearer k"}
    path = FORMAT.upstream_path
    assert path("chat", model="m", stream=True) == "/chat/completions"
    assert path("models", model="", stream=False) == "/models"
    assert path("model", model="m", stream=False) == "/models/m"


def test_formats_and_their_pricing_load_without_django():
    code = (
        "import sys; from providers.formats import registry; registry.formats();"
        "import pricing.estimate, pricing.matcher;"
        "sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 0
