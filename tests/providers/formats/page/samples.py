"""One request for each feature in each client's words, for the page of dialects.

A request is the plain one with the feature's fields over it; a feature a dialect has
no words for has no entry.
"""

from __future__ import annotations

from typing import Any

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmM"
    "IQAAAABJRU5ErkJggg=="
)
PDF = "JVBERi0xLjQKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
URL = "https://example.com/a.png"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
Body = dict[str, Any]
Told = dict[str, Body]


def _user(*parts: Body) -> Body:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def _items(*parts: Body) -> Body:
    return {"input": [{"role": "user", "content": list(parts)}]}


def _gemini(*parts: Body) -> Body:
    return {"contents": [{"role": "user", "parts": list(parts)}]}


def _config(**fields: Any) -> Body:
    return {"generationConfig": {"maxOutputTokens": 30000, **fields}}


def _options(**fields: Any) -> Body:
    return {"options": {"num_predict": 30000, **fields}}


def _inference(**fields: Any) -> Body:
    return {"inferenceConfig": {"maxTokens": 30000, **fields}}


PLAIN: Told = {
    "openai": {
        "model": "m",
        "max_tokens": 30000,
        **_user({"type": "text", "text": "Hi"}),
    },
    "responses": {
        "model": "m",
        "store": False,
        "max_output_tokens": 30000,
        **_items({"type": "input_text", "text": "Hi"}),
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 30000,
        **_user({"type": "text", "text": "Hi"}),
    },
    "google": {**_gemini({"text": "Hi"}), **_config()},
    "ollama": {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        **_options(),
    },
    "bedrock": {**_user({"text": "Hi"}), **_inference()},
}

_CHAT_TOOL = {"type": "function", "function": {"name": "find", "parameters": SCHEMA}}
_RESPONSES_TOOL = {"type": "function", "name": "find", "parameters": SCHEMA}
_CLAUDE_TOOL = {"name": "find", "input_schema": SCHEMA}
_GEMINI_TOOL = {
    "functionDeclarations": [{"name": "find", "parametersJsonSchema": SCHEMA}]
}
_BEDROCK_SPEC = {"toolSpec": {"name": "find", "inputSchema": {"json": SCHEMA}}}
_TOOLS: Told = {
    "openai": {"tools": [_CHAT_TOOL]},
    "responses": {"tools": [_RESPONSES_TOOL]},
    "anthropic": {"tools": [_CLAUDE_TOOL]},
    "google": {"tools": [_GEMINI_TOOL]},
    "ollama": {"tools": [_CHAT_TOOL]},
    "bedrock": {"toolConfig": {"tools": [_BEDROCK_SPEC]}},
}


def _offering(extra: Told) -> Told:
    """Return the features that need a tool beside them."""
    return {dialect: {**_TOOLS[dialect], **body} for dialect, body in extra.items()}


def _gemini_mode(mode: str, *names: str) -> Body:
    calling: Body = {"mode": mode}
    if names:
        calling["allowedFunctionNames"] = list(names)
    return {"toolConfig": {"functionCallingConfig": calling}}


def _bedrock_choice(choice: Body) -> Body:
    return {"toolConfig": {"tools": [_BEDROCK_SPEC], "toolChoice": choice}}


_MIDDLE = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Go on"},
]
_MARK = {"type": "ephemeral"}
_FORMAT = {"name": "place", "schema": SCHEMA, "strict": True}

FEATURES: dict[str, Told] = {
    "instruction in the middle": {
        "openai": {"messages": _MIDDLE},
        "responses": {"input": _MIDDLE},
        "anthropic": {"messages": _MIDDLE},
        "ollama": {"messages": _MIDDLE},
    },
    "picture, by value": {
        "openai": _user(
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PNG}"},
            }
        ),
        "responses": _items(
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
        ),
        "anthropic": _user(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            }
        ),
        "google": _gemini({"inlineData": {"mimeType": "image/png", "data": PNG}}),
        "ollama": {"messages": [{"role": "user", "content": "Hi", "images": [PNG]}]},
        "bedrock": _user({"image": {"format": "png", "source": {"bytes": PNG}}}),
    },
    "picture, by address": {
        "openai": _user({"type": "image_url", "image_url": {"url": URL}}),
        "responses": _items({"type": "input_image", "image_url": URL}),
        "anthropic": _user({"type": "image", "source": {"type": "url", "url": URL}}),
    },
    "PDF": {
        "openai": _user(
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": f"data:application/pdf;base64,{PDF}",
                },
            }
        ),
        "responses": _items(
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{PDF}",
            }
        ),
        "anthropic": _user(
            {
                "type": "document",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": PDF,
                },
            }
        ),
        "google": _gemini({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
        "bedrock": _user(
            {"document": {"format": "pdf", "name": "a", "source": {"bytes": PDF}}}
        ),
    },
    "sound": {
        "openai": _user(
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
        ),
        "google": _gemini({"inlineData": {"mimeType": "audio/wav", "data": WAV}}),
    },
    "tools": _TOOLS,
    "tool required": _offering(
        {
            "openai": {"tool_choice": "required"},
            "responses": {"tool_choice": "required"},
            "anthropic": {"tool_choice": {"type": "any"}},
            "google": _gemini_mode("ANY"),
            "bedrock": _bedrock_choice({"any": {}}),
        }
    ),
    "one call at a time": _offering(
        {
            "openai": {"parallel_tool_calls": False},
            "responses": {"parallel_tool_calls": False},
            "anthropic": {
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}
            },
        }
    ),
    "strict tool": {
        "openai": {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "find", "parameters": SCHEMA, "strict": True},
                }
            ]
        },
        "responses": {"tools": [{**_RESPONSES_TOOL, "strict": True}]},
        "anthropic": {"tools": [{**_CLAUDE_TOOL, "strict": True}]},
    },
    "free-text tool": {
        "openai": {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "patch",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "regex", "definition": "a+"},
                        },
                    },
                }
            ]
        },
        "responses": {
            "tools": [
                {
                    "type": "custom",
                    "name": "patch",
                    "format": {"type": "grammar", "syntax": "regex", "definition": "a"},
                }
            ]
        },
    },
    "vendor's web search": {
        "openai": {"web_search_options": {}},
        "responses": {"tools": [{"type": "web_search"}]},
        "anthropic": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "google": {"tools": [{"googleSearch": {}}]},
    },
    "JSON, any": {
        "openai": {"response_format": {"type": "json_object"}},
        "responses": {"text": {"format": {"type": "json_object"}}},
        "google": _config(responseMimeType="application/json"),
        "ollama": {"format": "json"},
    },
    "JSON by schema": {
        "openai": {"response_format": {"type": "json_schema", "json_schema": _FORMAT}},
        "responses": {"text": {"format": {"type": "json_schema", **_FORMAT}}},
        "anthropic": {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}
        },
        "google": _config(
            responseMimeType="application/json", responseJsonSchema=SCHEMA
        ),
        "ollama": {"format": SCHEMA},
    },
    "reasoning effort": {
        "openai": {"reasoning_effort": "high"},
        "responses": {"reasoning": {"effort": "high"}},
        "anthropic": {
            "max_tokens": 32000,
            "thinking": {"type": "enabled", "budget_tokens": 16000},
        },
        "google": _config(thinkingConfig={"thinkingLevel": "HIGH"}),
        "ollama": {"think": "high"},
    },
    "temperature 1.7": {
        "openai": {"temperature": 1.7},
        "responses": {"temperature": 1.7},
        "google": _config(temperature=1.7),
        "ollama": _options(temperature=1.7),
    },
    "top_k": {
        "anthropic": {"top_k": 5},
        "google": _config(topK=5),
        "ollama": _options(top_k=5),
    },
    "stop": {
        "openai": {"stop": ["END"]},
        "anthropic": {"stop_sequences": ["END"]},
        "google": _config(stopSequences=["END"]),
        "ollama": _options(stop=["END"]),
        "bedrock": _inference(stopSequences=["END"]),
    },
    "seed": {
        "openai": {"seed": 7},
        "google": _config(seed=7),
        "ollama": _options(seed=7),
    },
    "penalties": {
        "openai": {"presence_penalty": 0.5},
        "google": _config(presencePenalty=0.5),
        "ollama": _options(presence_penalty=0.5),
    },
    "logit_bias": {"openai": {"logit_bias": {"50256": -100}}},
    "log probabilities": {
        "openai": {"logprobs": True, "top_logprobs": 2},
        "responses": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        "google": _config(responseLogprobs=True, logprobs=2),
        "ollama": {"logprobs": True, "top_logprobs": 2},
    },
    "three choices": {"openai": {"n": 3}, "google": _config(candidateCount=3)},
    "cache mark": {
        "anthropic": _user({"type": "text", "text": "Hi", "cache_control": _MARK}),
        "bedrock": _user({"text": "Hi"}, {"cachePoint": {"type": "default"}}),
    },
    "cache key": {
        "openai": {"prompt_cache_key": "k"},
        "responses": {"prompt_cache_key": "k"},
    },
    "end user": {
        "openai": {"user": "u"},
        "responses": {"safety_identifier": "u"},
        "anthropic": {"metadata": {"user_id": "u"}},
    },
    "service tier": {
        "openai": {"service_tier": "priority"},
        "responses": {"service_tier": "priority"},
        "anthropic": {"service_tier": "standard_only"},
        "bedrock": {"serviceTier": {"type": "priority"}},
    },
    "verbosity": {
        "openai": {"verbosity": "low"},
        "responses": {"text": {"verbosity": "low"}},
    },
    "earlier response by id": {
        "responses": {"previous_response_id": "resp_1"},
    },
}
