"""One conversation with everything in it, in the words of every dialect."""

from __future__ import annotations

from typing import Any

from tests.providers.formats.conformance.talk import SCHEMA

ARGUMENTS = {"city": "Łódź", "days": 2}
PIXEL = "iVBORw0KGgo="
SAID = "Weather?"
LED = "Be brief."

_CHAT_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Łódź","days":2}'},
}
_CHAT_TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "d", "parameters": SCHEMA},
}
_CLAUDES: dict[str, Any] = {
    "max_tokens": 3000,
    "system": LED,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": SAID, "cache_control": {"type": "ephemeral"}},
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": PIXEL,
                    },
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "get_weather",
                    "input": ARGUMENTS,
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "Rain",
                    "is_error": True,
                },
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": [
        {"name": "get_weather", "description": "d", "input_schema": SCHEMA},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "stop_sequences": ["END"],
}
_GEMINIS: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": LED}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": SAID},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True},
                {
                    "functionCall": {"name": "get_weather", "args": ARGUMENTS},
                    "thoughtSignature": "c2ln",
                },
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "name": "get_weather",
                        "response": {"result": "Rain"},
                    }
                }
            ],
        },
    ],
    "tools": [
        {"functionDeclarations": [{"name": "get_weather", "parameters": SCHEMA}]}
    ],
    "generationConfig": {
        "temperature": 0.5,
        "topK": 4,
        "maxOutputTokens": 300,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingBudget": 2000},
    },
}
REQUESTS: dict[str, dict[str, Any]] = {
    "openai": {
        "model": "up",
        "messages": [
            {"role": "system", "content": LED},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": SAID},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PIXEL}"},
                    },
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [_CHAT_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain"},
        ],
        "tools": [_CHAT_TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA},
        },
        "max_tokens": 300,
        "temperature": 0.5,
        "stop": ["END"],
        "reasoning_effort": "low",
    },
    "responses": {
        "model": "up",
        "instructions": LED,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": SAID},
                    {
                        "type": "input_image",
                        "image_url": f"data:image/png;base64,{PIXEL}",
                    },
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "ZW5j",
            },
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "get_weather",
                "arguments": '{"city":"Łódź","days":2}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "Rain"},
        ],
        "tools": [
            {"type": "function", "name": "get_weather", "parameters": SCHEMA},
            {"type": "web_search"},
        ],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 300,
        "store": False,
    },
    "anthropic": {"model": "up", **_CLAUDES},
    "bedrock-invoke": {"anthropic_version": "bedrock-2023-05-31", **_CLAUDES},
    "google": _GEMINIS,
    "cloudcode": {"model": "up", "project": "p", "request": _GEMINIS},
    "ollama": {
        "model": "up",
        "messages": [
            {"role": "system", "content": LED},
            {"role": "user", "content": SAID, "images": [PIXEL]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "Hm.",
                "tool_calls": [
                    {"function": {"name": "get_weather", "arguments": ARGUMENTS}}
                ],
            },
            {"role": "tool", "content": "Rain", "tool_name": "get_weather"},
        ],
        "tools": [_CHAT_TOOL],
        "format": SCHEMA,
        "options": {"temperature": 0.5, "num_predict": 300, "stop": ["END"]},
        "think": "low",
    },
    "bedrock": {
        "system": [{"text": LED}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": SAID},
                    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
                    {"cachePoint": {"type": "default"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {
                        "reasoningContent": {
                            "reasoningText": {"text": "Hm.", "signature": "c2ln"}
                        }
                    },
                    {
                        "toolUse": {
                            "toolUseId": "tooluse_1",
                            "name": "get_weather",
                            "input": ARGUMENTS,
                        }
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_1",
                            "content": [{"json": {"sky": "grey"}}],
                            "status": "success",
                        }
                    }
                ],
            },
        ],
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}
            ],
            "toolChoice": {"auto": {}},
        },
        "inferenceConfig": {"maxTokens": 300, "stopSequences": ["END"]},
    },
}
