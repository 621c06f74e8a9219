from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from providers.formats.base import FormatError, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.fitted import ToolName, fit
from providers.formats.neutral.types import Thinking, ToolChoice
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    raw,
    request,
    result,
    results,
    tool,
    user,
    words,
)

LONG = "x" * 90
GRAMMAR = raw({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"})


def names_of(done):
    return [each.name for each in done.request.tools]


@pytest.mark.parametrize("name", ["my.tool:v1/x", LONG, "ünï", "", "a b", "-" * 70])
@pytest.mark.parametrize("to", ["anthropic", "openai", "google", "bedrock"])
def test_t43_names_are_legal_the_same_every_time_and_restored(name, to):
    asked = request(
        user("go"),
        assistant(call("a", name)),
        results(result("a", name=name)),
        tools=(tool(name), tool("other")),
        tool_choice=ToolChoice(mode="one", names=(name,)),
    )
    done = fitted(asked, to)
    made = names_of(done)[0]
    limit = 128 if to == "anthropic" else 64
    assert 0 < len(made) <= limit
    signs = "_-.:" if to == "google" else "_-"
    assert all(sign.isascii() and (sign.isalnum() or sign in signs) for sign in made)
    if to == "google":
        assert made[0].isalpha() or made[0] == "_"
    assert done.request.turns[1].parts[0].name == made
    assert done.request.turns[2].parts[0].name == made
    assert done.request.tool_choice.names == (made,)
    if made != name:
        assert done.names[made] == ToolName(name)
    assert fitted(asked, to) == done


def test_names_that_would_collide_are_kept_apart():
    asked = request(tools=(tool("a.b"), tool("a_b"), tool("a/b")))
    done = fitted(asked)
    made = names_of(done)
    assert made[1] == "a_b"
    assert len(set(made)) == 3
    assert {done.names[name].name for name in (made[0], made[2])} == {"a.b", "a/b"}


def test_a_tool_offered_twice_goes_out_once():
    done = fitted(request(tools=(tool("a"), tool("a"))))
    assert names_of(done) == ["a"]
    assert words(done) == {"tools.a:drop"}


def test_t44_named_choice_of_an_unknown_tool_still_is_legal():
    asked = request(
        tools=(tool("a"),), tool_choice=ToolChoice(mode="one", names=("b c",))
    )
    assert fitted(asked).request.tool_choice.names == ("b_c",)


CHOICES = {
    "auto": ToolChoice(mode="auto"),
    "none": ToolChoice(mode="none"),
    "required": ToolChoice(mode="any"),
    "named": ToolChoice(mode="one", names=("b",)),
    "allowed": ToolChoice(mode="subset", names=("b",)),
    "allowed-required": ToolChoice(mode="subset", names=("b",), is_required=True),
}
EVERYWHERE = {"auto": "auto ab", "required": "any ab", "named": "one ab"}
T44 = {
    "openai": {**EVERYWHERE, "none": "none ab"}
    | {"allowed": "subset ab", "allowed-required": "subset ab"},
    "responses": {**EVERYWHERE, "none": "none ab"}
    | {"allowed": "subset ab", "allowed-required": "subset ab"},
    "anthropic": {**EVERYWHERE, "none": "none ab"}
    | {"allowed": "auto b", "allowed-required": "any b"},
    "google": {**EVERYWHERE, "none": "none ab"}
    | {"allowed": "subset ab", "allowed-required": "subset ab"},
    "bedrock": {**EVERYWHERE, "none": " "}
    | {"allowed": "auto b", "allowed-required": "any b"},
    "ollama": {"auto": " ab", "none": " ", "required": " ab", "named": " ab"}
    | {"allowed": " b", "allowed-required": " b"},
}


@pytest.mark.parametrize("to", T44)
@pytest.mark.parametrize("name", CHOICES)
def test_t44_choices_become_what_each_dialect_has(to, name):
    asked = request(tools=(tool("a"), tool("b")), tool_choice=CHOICES[name])
    done = fitted(asked, to)
    choice = done.request.tool_choice
    mode = choice.mode if choice else ""
    assert f"{mode} {''.join(names_of(done))}" == T44[to][name]


def test_models_without_a_named_choice_are_offered_that_tool_alone():
    asked = request(tools=(tool("a"), tool("b")), tool_choice=CHOICES["named"])
    done = fitted(asked, "openai", "command-a", provider="cohere")
    assert names_of(done) == ["b"]
    assert done.request.tool_choice == ToolChoice(mode="any")
    done = fitted(asked, "openai", "glm-4.6", provider="zai")
    assert done.request.tool_choice == ToolChoice()
    assert words(done) == {"tool_choice:clamp"}


def test_t45_parallel_off_stays_in_the_choice_or_is_a_loss():
    asked = request(tools=(tool(),), tool_choice=ToolChoice(parallel=False))
    assert fitted(asked).request.tool_choice == ToolChoice(parallel=False)
    done = fitted(asked, "google")
    assert done.request.tool_choice == ToolChoice()
    assert words(done) == {"parallel_tool_calls:drop"}
    wanted = request(tools=(tool(),), tool_choice=ToolChoice(parallel=True))
    assert not fitted(wanted, "google").losses
    alone = request(tool_choice=ToolChoice(parallel=False))
    assert fitted(alone, "openai").request.tool_choice is None


def test_t51_bedrock_gets_tools_for_the_calls_of_the_history():
    asked = request(user("go"), assistant(call("a", "my.tool")), results(result("a")))
    done = fitted(asked, "bedrock")
    (made,) = done.request.tools
    assert made.name == "my_tool"
    assert bytes(made.schema) == b'{"type":"object","properties":{}}'
    assert "tools:emulate" in words(done)
    assert fitted(asked, "openai").request.tools == ()


def test_t52_bedrock_none_drops_the_tools_unless_the_history_needs_them():
    choice = ToolChoice(mode="none")
    asked = request(tools=(tool("a"),), tool_choice=choice)
    assert fitted(asked, "bedrock").request.tools == ()
    asked = request(
        user("go"),
        assistant(call("a", "a")),
        results(result("a")),
        tools=(tool("a"),),
        tool_choice=choice,
    )
    done = fitted(asked, "bedrock")
    assert names_of(done) == ["a"]
    assert done.request.tool_choice is None
    assert words(done) == {"tool_choice:drop"}


def test_t66_a_custom_tool_becomes_a_function_of_one_string():
    patch = tool("apply_patch", kind="custom", description="Edit.", format=GRAMMAR)
    asked = request(
        user("go"),
        assistant(call("a", "apply_patch", 'say "hi"\n', kind="custom")),
        results(result("a", kind="custom")),
        tools=(patch,),
        dialect="responses",
    )
    done = fitted(asked, "openai", "deepseek-chat", provider="deepseek")
    (made,) = done.request.tools
    assert made.kind == "function"
    assert made.description.startswith("Edit.")
    assert "lark" in made.description
    schema = msgspec.json.decode(made.schema)
    assert schema["required"] == ["input"]
    sent = done.request.turns[1].parts[0]
    assert sent.kind == "function"
    assert msgspec.json.decode(sent.arguments) == {"input": 'say "hi"\n'}
    assert done.request.turns[2].parts[0].kind == "function"
    assert done.names["apply_patch"] == ToolName("apply_patch", kind="custom")
    assert "tools.apply_patch.format:emulate" in words(done)
    kept = fitted(asked, "responses")
    assert kept.request.tools == asked.tools
    assert kept.names == {}


def test_t67_namespaces_are_flattened_and_told_apart_on_the_way_back():
    asked = request(
        user("go"),
        assistant(call("a", "search", namespace="mail")),
        results(result("a")),
        tools=(
            tool("search", namespace="mail"),
            tool("search", namespace="files"),
            tool("mail__search"),
        ),
        dialect="responses",
    )
    done = fitted(asked)
    made = names_of(done)
    assert made[2] == "mail__search"
    assert made[1] == "files__search"
    assert len(set(made)) == 3
    assert done.names["files__search"] == ToolName("search", "files")
    assert done.names[made[0]] == ToolName("search", "mail")
    assert all(not each.namespace for each in done.request.tools)
    assert done.request.turns[1].parts[0].name == made[0]
    native = fitted(asked, "responses")
    assert [each.namespace for each in native.request.tools] == ["mail", "files", ""]
    assert native.names == {}


def test_t74_a_search_beside_functions_is_left_out_where_both_are_refused():
    search = tool("web_search", kind="server", type="web_search", dialect="responses")
    asked = request(tools=(search, tool()), dialect="responses")
    done = fitted(asked, "google")
    assert names_of(done) == ["look"]
    assert words(done) == {"tools.web_search:drop"}
    both = fitted(asked, "google", "gemini-3-pro-preview")
    assert names_of(both) == ["web_search", "look"]


def test_t74_server_tools_never_cross_as_functions():
    tools = (
        tool("web_search", kind="server", type="web_search", dialect="responses"),
        tool("x", kind="server", type="file_search", dialect="responses"),
    )
    done = fitted(request(tools=tools, dialect="responses"), "openai")
    assert done.request.tools == ()
    assert words(done) == {"tools.web_search:drop", "tools.file_search:drop"}


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("bash_20250124", "bash", "command"),
        ("text_editor_20250728", "str_replace_based_edit_tool", "old_str"),
        ("memory_20250818", "memory", "old_path"),
        ("computer_20250124", "computer", "coordinate"),
    ],
)
def test_client_tools_of_anthropic_are_functions_elsewhere(kind, name, known):
    payload = raw({"display_width_px": 800, "display_height_px": 600})
    given = tool(name, kind="builtin", type=kind, dialect="anthropic", payload=payload)
    done = fitted(request(tools=(given,), dialect="anthropic"), "openai")
    (made,) = done.request.tools
    assert (made.kind, made.name) == ("function", name)
    assert known in msgspec.json.decode(made.schema)["properties"]
    assert ("800 by 600" in made.description) is (name == "computer")
    assert done.names == {}
    kept = fitted(request(tools=(given,), dialect="anthropic"))
    assert kept.request.tools == (given,)


def test_shells_of_responses_come_back_as_what_they_were():
    given = tool("shell", kind="builtin", type="shell", dialect="responses")
    done = fitted(request(tools=(given,), dialect="responses"))
    assert done.request.tools[0].kind == "function"
    assert done.names == {"shell": ToolName("shell", kind="builtin")}
    odd = tool("x", kind="builtin", type="computer_use_preview", dialect="responses")
    done = fitted(request(tools=(odd,), dialect="responses"))
    assert words(done) == {"tools.computer_use_preview:drop"}


def test_deferred_tools_are_offered_at_once_and_strictness_is_a_loss():
    asked = request(tools=(tool("a", is_deferred=True, strict=True),))
    done = fitted(asked, "anthropic", "claude-sonnet-4")
    assert done.request.tools == (tool("a"),)
    assert words(done) == {"tools.a.strict:drop"}


def test_models_without_tools_refuse_them():
    with pytest.raises(FormatError) as caught:
        fitted(request(tools=(tool(),)), "google", "gemma-3-27b-it")
    assert caught.value.param == "tools"


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"display_width_px":"x"}'])
def test_an_odd_screen_is_not_described(payload):
    given = tool(
        "computer",
        kind="builtin",
        type="computer_20250124",
        dialect="anthropic",
        payload=msgspec.Raw(payload),
    )
    done = fitted(request(tools=(given,), dialect="anthropic"), "google")
    assert "pixels" not in done.request.tools[0].description


def test_an_odd_search_is_a_search_without_bounds():
    for payload in (None, msgspec.Raw(b"[]")):
        search = tool("web_search", kind="server", type="web_search", payload=payload)
        done = fitted(request(tools=(search,)), "responses")
        made = msgspec.json.decode(done.request.tools[0].payload)
        assert made == {"type": "web_search"}


def test_a_search_says_where_in_the_words_of_chat():
    place = {"type": "approximate", "country": "DE"}
    payload = raw({"user_location": place, "filters": {"allowed_domains": ["a"]}})
    search = tool(
        "s", kind="server", type="web_search", dialect="responses", payload=payload
    )
    asked = request(tools=(search,), dialect="responses")
    done = fitted(asked, "openai", "gpt-4o-search-preview")
    assert msgspec.json.decode(done.request.tools[0].payload) == {
        "user_location": {"type": "approximate", "approximate": {"country": "DE"}}
    }
    assert words(done) == {"tools.web_search.allowed_domains:drop"}
    google = tool("g", kind="server", type="google_search", payload=payload)
    kept = fitted(request(tools=(google,)), "responses").request.tools[0]
    assert b"filters" in bytes(kept.payload)


def test_own_server_tools_and_calls_of_builtins_stay():
    own = tool("files", kind="server", type="file_search", dialect="responses")
    asked = request(
        user("go"),
        assistant(call("a", "shell", kind="builtin")),
        results(result("a", kind="builtin")),
        tools=(own,),
        dialect="responses",
    )
    kept = fitted(asked, "responses").request
    assert kept.tools == (own,)
    assert kept.turns[1].parts[0].kind == "builtin"
    done = fitted(asked, "openai").request
    assert done.turns[1].parts[0].kind == "function"
    assert done.turns[2].parts[0].kind == "function"


def test_a_subset_that_must_be_used_gives_way_to_reasoning():
    caps = Capabilities(allowed_tools=True, forced_tool_with_thinking=False)
    subset = ToolChoice(mode="subset", names=("look",), is_required=True)
    asked = request(
        tools=(tool(),),
        tool_choice=subset,
        thinking=Thinking(mode="effort", effort="low"),
    )
    done = fit(asked, Target(model="m"), caps, {})
    assert done.request.tool_choice == replace(subset, is_required=False)
    assert words(done) == {"tool_choice:clamp"}
