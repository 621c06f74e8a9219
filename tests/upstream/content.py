"""Decide what is answered, before any dialect words it.

A dialect reads its request into chat's form (``messages``, ``tools``, ``tool_choice``,
``max_tokens``, ``response_format``) and takes the content of its answer from here, so
that one conversation gets one answer in every dialect.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from tests.upstream.answer import Ask
from tests.upstream.dialects.openai_reply import Choice, call_tokens
from tests.upstream.scenario import Scenario
from tests.upstream.text import make_words
from tests.upstream.tokens import count_image, count_tokens

_DEFAULT_TOKENS = 40
_CITIES = ["Lisbon", "Kraków", "Nairobi", "Osaka", "Montréal"]
_SHELLS = {"Bash", "bash", "exec_command", "shell", "run_shell_command"}
_EXAMPLES = {"command": "echo pool-tool-ran", "cmd": "echo pool-tool-ran"}


def choose(ask: Ask, scenario: Scenario, rng: random.Random) -> Choice:
    """Decide what one choice of an answer says."""
    reasoning = (
        make_words(rng, scenario.spread("reasoning", 12, rng))
        if scenario.has("reasoning")
        else []
    )
    if scenario.has("refusal"):
        return Choice([], reasoning, [], "I cannot help with that request.", "stop")
    if _calls_tools(ask, scenario):
        count = 2 if scenario.has("tools-parallel") else 1
        if scenario.has("shell-once"):
            only = {**ask.payload, "tools": [_shell_of(ask)]}
            ask = replace(ask, payload=only)
        calls = [_tool_call(ask, rng, number) for number in range(count)]
        return Choice([], reasoning, calls, "", "tool_calls")
    payload = ask.payload
    schema = _schema_of(payload)
    if schema is not None:
        text = json.dumps(example_of(schema, rng), ensure_ascii=False)
        return Choice([text], reasoning, [], "", "stop")
    wanted = scenario.spread("len", _DEFAULT_TOKENS, rng)
    most = payload.get("max_completion_tokens") or payload.get("max_tokens") or wanted
    finish = "length" if most < wanted else "stop"
    words = make_words(rng, min(wanted, most))
    return Choice(words, reasoning, [], "", finish)


def _calls_tools(ask: Ask, scenario: Scenario) -> bool:
    if scenario.first("tools", "tools-parallel", "tools-fragmented"):
        return True
    if scenario.has("shell-once"):
        return not ask.payload.get("answered") and _shell_of(ask) is not None
    choice = ask.payload.get("tool_choice")
    return bool(ask.payload.get("tools")) and choice not in (None, "auto", "none")


def _tool_call(ask: Ask, rng: random.Random, number: int) -> tuple[str, str, str]:
    tools = ask.payload.get("tools") or [{"function": {"name": "get_weather"}}]
    choice = ask.payload.get("tool_choice")
    if isinstance(choice, dict):
        wanted = choice.get("function", {}).get("name")
        named = [
            each for each in tools if each.get("function", {}).get("name") == wanted
        ]
        tools = named or tools
    function = tools[number % len(tools)].get("function", {})
    city = rng.choice(_CITIES)
    arguments: Any = {"city": city, "unit": "celsius", "days": rng.randint(1, 7)}
    schema = function.get("parameters")
    if isinstance(schema, dict) and schema.get("properties"):
        arguments = example_of(schema, rng)
    return (
        f"call_{rng.getrandbits(48):012x}",
        function.get("name", "get_weather"),
        json.dumps(arguments, ensure_ascii=False),
    )


def prompt_tokens(payload: dict[str, Any]) -> int:
    """Count what a conversation in chat's form costs to read."""
    total = 3
    for message in payload["messages"]:
        total += 4 + _content_tokens(message.get("content"))
        for call in message.get("tool_calls") or []:
            function = call.get("function", {})
            total += call_tokens(
                function.get("name", ""), function.get("arguments", "")
            )
    if payload.get("tools"):
        total += count_tokens(json.dumps(payload["tools"]))
    return total


def _content_tokens(content: Any) -> int:
    if isinstance(content, str):
        return count_tokens(content)
    total = 0
    for part in content or []:
        if part.get("type") == "image_url":
            total += count_image(part["image_url"].get("detail", "auto"))
        else:
            total += count_tokens(str(part.get("text", "")))
    return total


def _shell_of(ask: Ask) -> dict[str, Any] | None:
    """Find the tool that runs a command, as the coding clients call theirs."""
    for tool in ask.payload.get("tools") or []:
        if tool.get("function", {}).get("name") in _SHELLS:
            return dict(tool)
    return None


def example_of(schema: dict[str, Any], rng: random.Random, name: str = "") -> Any:
    """Make a value that fits a plain JSON schema."""
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    kind = str(kind).lower()
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = schema.get("required") or list(properties)
        properties = {key: properties[key] for key in wanted if key in properties}
        return {key: example_of(part, rng, key) for key, part in properties.items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), rng)]
    if kind in ("integer", "number"):
        return rng.randint(1, 7)
    if kind == "boolean":
        return True
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    return rng.choice(_CITIES)


def _schema_of(payload: dict[str, Any]) -> dict[str, Any] | None:
    wanted = payload.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return None
    found = wanted.get("json_schema", {}).get("schema")
    return found if isinstance(found, dict) else None
