"""Make the tables of docs/dialects.md of what the code really does.

``python -m tests.providers.formats.page.tables`` writes them into the page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from providers.formats import registry
from providers.formats.base import (
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    Target,
    UpstreamRequest,
)
from providers.formats.neutral.bridge import TranslationBridge
from tests.clients.matrix.speakers import INEXPRESSIBLE
from tests.clients.matrix.test_matrix import UPSTREAMS
from tests.providers.formats.page.samples import FEATURES, PLAIN, Body

PAGE = Path(__file__).parents[4] / "docs" / "dialects.md"
MODELS = {
    "openai": "gpt-4.1",
    "responses": "gpt-5.1",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-3-pro-preview",
    "ollama": "qwen3",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""The model of each upstream whose capabilities the table of features shows."""

OPERATIONS: tuple[Op, ...] = (
    "completions",
    "embeddings",
    "images",
    "speech",
    "transcription",
    "moderations",
    "rerank",
    "count_tokens",
)
_ROOT = re.compile(
    r"(/v1beta|/v1alpha|/v1|/bedrock|)(/(?:models|tunedModels|model)/.+)"
)
_FAMILIES = ("gpt-4.1", "gpt-5.1", "claude-sonnet-4-5", "gemini-3-pro-preview")
_ACTIONS = {
    "drop": "dropped",
    "fold": "folded",
    "emulate": "emulated",
    "clamp": "clamped",
}
_OPTIONS = {
    "project": "p",
    "location": "us-central1",
    "region": "us-east-1",
    "resource": "r",
    "api_version": "2025-04-01-preview",
}


def how(inbound: str, upstream: str, *models: str) -> str:
    """Return V, E, T, or what it depends on, for one pair.

    Shapes:  V = the same dialect, E = an envelope around the client's own, T =
             translated; two letters where the model decides.
    """
    letters = dict.fromkeys(
        _letter(inbound, upstream, model) for model in models or _FAMILIES
    )
    return " or ".join(sorted(letters))


def _letter(inbound: str, upstream: str, model: str) -> str:
    bridge = registry.bridge(inbound, upstream, model)
    if bridge is None:
        return "-"
    if isinstance(bridge, TranslationBridge):
        return "T"
    return "V" if inbound == upstream else "E"


def paths() -> str:
    """Return the paths of every dialect clients speak; one root for many stands once.

    Shapes:  ``[a b -]/x`` is ``a/x``, ``b/x`` and ``/x``.
    """
    lines = []
    for name, wire in registry.formats().items():
        roots: dict[tuple[str, str], list[str]] = {}
        for route in wire.routes:
            root, rest = _split(route.path)
            roots.setdefault((route.method, rest), []).append(root)
        lines += [
            f"{name:<15}{method:<5}{_joined(found)}{rest}"
            for (method, rest), found in roots.items()
        ]
    return "\n".join(["```", *lines, "```"])


def _split(path: str) -> tuple[str, str]:
    found = _ROOT.match(path)
    return found.groups() if found else ("", path)  # type: ignore[return-value]


def _joined(roots: list[str]) -> str:
    return (
        roots[0] if len(roots) == 1 else f"[{' '.join(root or '-' for root in roots)}]"
    )


def unsaid() -> str:
    """Return the cells of the SDKs' matrix that a client's dialect has no words for."""
    rows = [
        [
            speaker,
            feature,
            ", ".join(name.removeprefix("up-") for name in UPSTREAMS),
            why,
        ]
        for (speaker, feature), why in INEXPRESSIBLE.items()
    ]
    return table(["SDK", "Feature", "Upstreams", "Why"], rows)


def operations() -> str:
    """Return which upstreams serve what is no conversation, by whom it is asked."""
    rows = []
    for op in OPERATIONS:
        for client, wire in registry.formats().items():
            if any(route.op == op for route in wire.routes):
                served = [
                    f"`{name}`"
                    for name in registry.formats()
                    if _serves(client, name, op)
                ]
                rows.append([op, f"`{client}`", ", ".join(served)])
    return table(["Operation", "Client", "Upstreams"], rows)


def _serves(client: str, upstream: str, op: Op) -> bool:
    return any(registry.bridge(client, upstream, model, op) for model in _FAMILIES)


def pairs() -> str:
    """Return the table of every client's dialect and every upstream's."""
    known = registry.formats()
    upstreams = list(known)
    inbound = [name for name in known if known[name].routes]
    rows = [
        [f"`{client}`", *(how(client, upstream) for upstream in upstreams)]
        for client in inbound
    ]
    return table(["in \\ out", *(f"`{name}`" for name in upstreams)], rows)


def features() -> str:
    """Return what becomes of each feature, a table for each client's dialect."""
    made = []
    for inbound in PLAIN:
        upstreams = [name for name in MODELS if name != inbound]
        rows = [
            [feature, *(outcome(inbound, upstream, feature) for upstream in upstreams)]
            for feature, told in FEATURES.items()
            if inbound in told
        ]
        head = [f"from `{inbound}`", *(f"`{name}`" for name in upstreams)]
        made.append(table(head, rows))
    return "\n\n".join(made)


def outcome(inbound: str, upstream: str, feature: str) -> str:
    """Return what one upstream gets of a feature.

    Shapes:  ``unsaid`` = neither sent nor named as a loss, which is a fault.
    """
    if how(inbound, upstream, MODELS[upstream]) != "T":
        return "as sent"
    plain = _sent(inbound, upstream, PLAIN[inbound])
    assert isinstance(plain, UpstreamRequest), plain
    sent = _sent(inbound, upstream, PLAIN[inbound] | FEATURES[feature][inbound])
    if isinstance(sent, str):
        return sent
    lost = [loss for loss in sent.losses if loss not in plain.losses]
    if lost:
        words = [_ACTIONS[loss.partition(":")[2].split(":")[0]] for loss in lost]
        return ", ".join(dict.fromkeys(words))
    return "unsaid" if sent.body == plain.body else "kept"


def _sent(inbound: str, upstream: str, body: Body) -> UpstreamRequest | str:
    """Return what an upstream is sent, or why nothing is."""
    model = MODELS[upstream]
    bridge = registry.bridge(inbound, upstream, model)
    assert bridge is not None
    target = Target(model=model, provider="p", catalogue=upstream, options=_OPTIONS)
    request = _arrived(inbound, body)
    try:
        if _to_fetch(bridge, request, target):
            return "fetched"
        return bridge.build_request(request, target)
    except FormatError:
        return "refused"


def _to_fetch(bridge: Bridge, request: ChatRequest, target: Target) -> bool:
    assert isinstance(bridge, TranslationBridge)
    return bool(bridge.urls_to_fetch(request, target))


def _arrived(inbound: str, body: Body) -> ChatRequest:
    wire = registry.get(inbound)
    route = next(route for route in wire.routes if route.op == "chat")
    arrival = Arrival(
        path=route.path, path_model="m" if "{model}" in route.path else None
    )
    return wire.read_request(json.dumps(body).encode(), arrival)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def marked(page: str, name: str) -> str:
    """Return what stands between a page's marks."""
    begin, end = _marks(name)
    return page.partition(begin)[2].partition(end)[0].strip("\n")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- made: {name} -->", f"<!-- end: {name} -->"


MADE = {
    "paths": paths,
    "pairs": pairs,
    "operations": operations,
    "features": features,
    "unsaid": unsaid,
}


def write() -> None:
    """Write the tables into the page."""
    page = PAGE.read_text()
    for name, made in MADE.items():
        begin, end = _marks(name)
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{made()}\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
