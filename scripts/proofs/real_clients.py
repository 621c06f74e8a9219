"""Coding clients from their registries work through the pool on every other dialect.

Cases T142 (Claude Code), T143 (Codex), T144 (Gemini CLI), T145 (Gemini CLI as if signed
in at Google) and T146 (opencode by four provider packages, aider): a tool round and a cut
stream each. What else these cases name (parallel tools, replayed reasoning, custom and
namespaced tools, long silence) is tested where it can be seen byte by byte, under the
cases of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from scripts.proofs.figure import Figure, equal
from scripts.proofs.setting import Stage, set_stage
from tests.rig.real_clients import CLIENTS, Place, Ran, install
from tests.upstream.truth import Served

name = "real-clients"
UPSTREAMS = {
    "openai": ("/v1", "openai"),
    "responses": ("/v1", "responses"),
    "anthropic": ("/v1", "anthropic"),
    "google": ("/v1beta", "google"),
    "ollama": ("", "ollama"),
}
PAIRS = [(client, upstream) for client in CLIENTS for upstream in UPSTREAMS]
LENGTHS = {pair: 41 + number for number, pair in enumerate(PAIRS)}
"""Each pair's cut model is its own, since only a model's first call is cut."""


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Run each client against every dialect but its own: a tool, and a cut stream."""
    versions = install()
    told = ", ".join(f"{package} {version}" for package, version in versions.items())
    figures = [Figure("clients installed", told, "five", len(versions) == 5)]
    with (
        tempfile.TemporaryDirectory() as directory,
        set_stage(seed=seed, arguments=["--no-worker"]) as scene,
    ):
        _arrange(scene)
        for client, (dialect, _) in CLIENTS.items():
            for upstream in UPSTREAMS:
                if upstream != dialect and not (short and upstream != "openai"):
                    where = Path(directory) / client.replace(" ", "-") / upstream
                    figures += _pair(scene, client, upstream, where)
    return figures


def _arrange(scene: Stage) -> None:
    root = scene.upstream.base_url.removesuffix("/v1")
    for upstream, (version, api_format) in UPSTREAMS.items():
        models = {f"shell-{upstream}": "fault-shell-once+len-12"}
        for client in CLIENTS:
            length = LENGTHS[client, upstream]
            spec = f"fault-len-{length}+cut-rst-chunk-10+first-1"
            models[f"cut-{upstream}-{_short(client)}"] = spec
        scene.provider(
            upstream,
            models=sorted(set(models.values())),
            base_url=root + version,
            api_format=api_format,
        )
        for alias, target in models.items():
            scene.alias(alias, f"{upstream}/{target}")
    scene.price("fault-*", input_usd="3", output_usd="15")
    scene.key("client")
    scene.open()


def _pair(scene: Stage, client: str, upstream: str, work: Path) -> list[Figure]:
    pair = f"{client} on {upstream}"
    figures = []
    if client != "aider":
        ran, calls = _ask(scene, client, f"shell-{upstream}", work / "tool")
        good = ran.status == 0 and len(calls) >= 2 and "pool-tool-ran" in ran.output
        # What a client prints of a tool differs; that it went on tells the same.
        good = good or (ran.status == 0 and _went_on(calls))
        value = f"exit {ran.status}, {len(calls)} calls"
        figures.append(Figure(f"{pair}: tool round", value, "exit 0, went on", good))
    cut = f"cut-{upstream}-{_short(client)}"
    ran, calls = _ask(scene, client, cut, work / "cut")
    was_cut = bool(calls) and calls[0].ended == "cut"
    noticed = was_cut and (len(calls) > 1 or ran.status != 0)
    value = f"exit {ran.status}, {len(calls)} calls"
    rule = "asked again or failed"
    figures.append(Figure(f"{pair}: cut stream", value, rule, noticed))
    if client == "aider":
        whole = ran.status == 0 and len(ran.output) > 0
        figures.append(equal(f"{pair}: text", whole, True))
    return figures


def _ask(scene: Stage, client: str, model: str, work: Path) -> tuple[Ran, list[Served]]:
    before = len(scene.upstream.truth())
    place = Place(
        work=work,
        url=scene.product.url.removesuffix("/v1"),
        key=scene.keys["client"],
        model=model,
    )
    ran = CLIENTS[client][1](place)
    scene.upstream.wait_idle(within_s=30)
    return ran, scene.upstream.truth()[before:]


def _went_on(calls: list[Served]) -> bool:
    """Tell whether a second call carried more than the first: the tool's result."""
    sizes = [call.prompt_tokens for call in calls]
    return len(sizes) >= 2 and max(sizes) > min(sizes)


def _short(client: str) -> str:
    return client.split()[0].lower()
