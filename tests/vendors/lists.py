"""What vendors answer when asked for their models, one function a shape.

Source: the vendors' API references; OpenRouter's, LiteLLM's, LM Studio's and Ollama's
documentation. Written from these, not recorded.
"""

from __future__ import annotations

from typing import Any

from tests.vendors.server import Asked, Reply, Vendor


def openai(*ids: str) -> dict[str, Any]:
    """Return OpenAI's list."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 1753142400, "owned_by": "acme"}
            for name in ids
        ],
    }


def openrouter() -> dict[str, Any]:
    """Return a list as OpenRouter words it: one paid, one free, one of images."""
    paid = {
        "id": "anthropic/claude-sonnet-4.5",
        "name": "Anthropic: Claude Sonnet 4.5",
        "created": 1759161676,
        "context_length": 1_000_000,
        "architecture": {
            "input_modalities": ["text", "image", "file"],
            "output_modalities": ["text"],
        },
        "pricing": {
            "prompt": "0.000003",
            "completion": "0.000015",
            "request": "0",
            "image": "0",
            "input_cache_read": "0.0000003",
            "input_cache_write": "0.00000375",
        },
        "top_provider": {"context_length": 1_000_000, "max_completion_tokens": 64_000},
        "supported_parameters": ["tools", "temperature", "reasoning", "max_tokens"],
    }
    free = {
        "id": "deepseek/deepseek-r1:free",
        "name": "DeepSeek: R1 (free)",
        "context_length": 163_840,
        "pricing": {"prompt": "0", "completion": "0"},
        "supported_parameters": ["reasoning"],
    }
    drawn = {
        "id": "google/gemini-2.5-flash-image",
        "name": "Nano Banana",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["image"]},
        "pricing": {"prompt": "-1", "completion": "-1"},
    }
    return {"data": [paid, free, drawn]}


def anthropic_pages(vendor: Vendor, *pages: list[str], path: str) -> None:
    """Lay down Anthropic's list, a page for each argument."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("anthropic-version") != "2023-06-01":
            return Reply({"type": "error"}, status=400)
        after = asked.query.get("after_id", "")
        place = next((n + 1 for n, page in enumerate(pages) if page[-1] == after), 0)
        page = pages[place]
        return Reply(
            {
                "data": [
                    {
                        "id": name,
                        "display_name": name.title(),
                        "created_at": "2025-09-29T00:00:00Z",
                        "type": "model",
                    }
                    for name in page
                ],
                "has_more": place < len(pages) - 1,
                "first_id": page[0],
                "last_id": page[-1],
            }
        )

    vendor.on("GET", path, answer)


def google_pages(vendor: Vendor, *pages: list[dict[str, Any]], path: str) -> None:
    """Lay down Google's list, a page for each argument."""

    def answer(asked: Asked) -> Reply:
        place = int(asked.query.get("pageToken", "0"))
        body: dict[str, Any] = {"models": pages[place]}
        if place < len(pages) - 1:
            body["nextPageToken"] = str(place + 1)
        return Reply(body)

    vendor.on("GET", path, answer)


def google_model(name: str, *methods: str, **values: Any) -> dict[str, Any]:
    """Return one model of Google's list."""
    return {
        "name": f"models/{name}",
        "displayName": name.title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": list(methods or ("generateContent",)),
        **values,
    }


def ollama(vendor: Vendor, shows: dict[str, dict[str, Any] | None]) -> None:
    """Lay down /api/tags and /api/show; None is a model that cannot be shown."""
    details = {"family": "llama", "parameter_size": "8B", "quantization_level": "Q4"}
    tags = [{"name": name, "size": 1, "details": details} for name in shows]
    vendor.on("GET", "/api/tags", {"models": tags})

    def show(asked: Asked) -> Reply:
        said = shows.get(asked.json()["model"])
        return Reply({"error": "broken"}, 500) if said is None else Reply(said)

    vendor.on("POST", "/api/show", show)


def copilot() -> dict[str, Any]:
    """Return Copilot's list: one for chat, one switched off, one for embeddings."""
    limits = {"max_context_window_tokens": 128_000, "max_output_tokens": 16_384}
    supports = {"tool_calls": True, "parallel_tool_calls": False}

    def model(name: str, kind: str, state: str) -> dict[str, Any]:
        abilities = {"type": kind, "family": name, "limits": limits}
        return {
            "id": name,
            "name": name.upper(),
            "policy": {"state": state, "terms": ""},
            "capabilities": {**abilities, "supports": supports},
        }

    return {
        "data": [
            model("gpt-4.1", "chat", "enabled"),
            model("claude-opus-4", "chat", "disabled"),
            model("text-embedding-3-small", "embeddings", "enabled"),
        ]
    }


def cloudcode() -> dict[str, Any]:
    """Return the list of Code Assist."""
    quota = {"remainingFraction": 0.4, "resetTime": "2026-11-21T00:00:00Z"}
    return {
        "models": {
            "gemini-3-pro": {"displayName": "Gemini 3 Pro", "quotaInfo": quota},
            "tab-complete": {"displayName": "Internal", "isInternal": True},
        }
    }


def litellm() -> dict[str, Any]:
    """Return /model/info of a LiteLLM proxy."""
    return {
        "data": [
            {
                "model_name": "house-model",
                "litellm_params": {"model": "openai/gpt-4o"},
                "model_info": {
                    "mode": "chat",
                    "max_input_tokens": 128_000,
                    "max_output_tokens": 16_384,
                    "input_cost_per_token": 2.5e-06,
                    "output_cost_per_token": 1e-05,
                    "supports_function_calling": True,
                    "supports_vision": False,
                },
            },
            {
                "model_name": "house-embed",
                "litellm_params": {"model": "openai/text-embedding-3-small"},
                "model_info": {"mode": "embedding", "max_input_tokens": 8191},
            },
        ]
    }


def lmstudio() -> dict[str, Any]:
    """Return LM Studio's own list."""
    return {
        "data": [
            {"id": "qwen3-vl", "type": "vlm", "max_context_length": 32_768},
            {"id": "qwen3", "type": "llm", "capabilities": ["tool_use"]},
            {"id": "nomic-embed", "type": "embeddings", "max_context_length": 2048},
        ]
    }


def azure(*states: tuple[str, str, str]) -> dict[str, Any]:
    """Return Azure's deployments: (name, model, status)."""
    return {
        "data": [
            {"id": name, "model": model, "status": status, "object": "deployment"}
            for name, model, status in states
        ]
    }
