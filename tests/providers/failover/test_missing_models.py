"""Vendors have many words for a model they do not serve; all of them lead elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.formats import registry
from providers.proxy.verdict import judge_status

NOW_S = 1_790_000_000.0

# source: error reports of each vendor's users on GitHub, 2023 to 2026; kind: documented
MISSING: dict[str, tuple[str, int, dict[str, Any]]] = {
    "Anthropic, unknown": (
        "anthropic",
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "model: a"}},
    ),
    "Anthropic, withdrawn": (
        "anthropic",
        404,
        {
            "type": "error",
            "error": {
                "type": "not_found_error",
                "message": "Claude Nine is not available. Please use Claude Ten.",
            },
        },
    ),
    "Azure": (
        "openai",
        404,
        {
            "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist.",
            }
        },
    ),
    "Google": (
        "google",
        404,
        {
            "error": {
                "code": 404,
                "message": "models/a is not found for API version v1beta, or is not "
                "supported for generateContent.",
                "status": "NOT_FOUND",
            }
        },
    ),
    "Ollama": ("ollama", 404, {"error": "model 'a' not found"}),
    "OpenAI": (
        "openai",
        404,
        {
            "error": {
                "message": "The model `a` does not exist or you do not have access.",
                "type": "invalid_request_error",
                "code": "model_not_found",
            }
        },
    ),
    "OpenRouter, nobody": (
        "openai",
        404,
        {"error": {"message": "No endpoints found for a/b.", "code": 404}},
    ),
    "OpenRouter, none that can": (
        "openai",
        404,
        {"error": {"message": "No endpoints found that support tools.", "code": 404}},
    ),
    "Together, not serverless": (
        "openai",
        400,
        {
            "error": {
                "message": "Unable to access non-serverless model a.",
                "type": "invalid_request_error",
                "code": "model_not_available",
            }
        },
    ),
    "Together, not running": (
        "openai",
        400,
        {
            "error": {
                "message": "The dedicated endpoint for a is not running.",
                "type": "invalid_request_error",
                "code": "dedicated_endpoint_not_running",
            }
        },
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_model_a_vendor_lacks_is_asked_elsewhere(name: str) -> None:
    format_id, status, body = MISSING[name]
    detail = registry.get(format_id).read_error(status, json.dumps(body).encode())
    assert judge_status(status, detail, {}, now_s=NOW_S).kind == "model"
