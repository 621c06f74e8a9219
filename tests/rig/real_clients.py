"""Install the coding clients from their registries and run them without a screen.

Each client gets a home of its own, so that nothing of the machine's user is read. The
commands are those of reference wire 4.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.rig.processes import ROOT

PACKAGES = {
    "@anthropic-ai/claude-code": "2.1.329",
    "@openai/codex": "0.169.0",
    "@google/gemini-cli": "0.61.0",
    "opencode-ai": "1.18.33",
}
AIDER = "aider-chat==0.86.2"
HOME = ROOT / "var" / "clients"
_SCRIPTS = {
    "@anthropic-ai/claude-code": "install.cjs",
    "opencode-ai": "postinstall.mjs",
}
_SAY = "say hi"


@dataclass(frozen=True)
class Ran:
    """How a client ended.

    Shapes: output is both streams.
    """

    status: int
    output: str


@dataclass(frozen=True)
class Place:
    """Where a client runs and whom it asks.

    Shapes: url is the pool's root, without a version.
    """

    work: Path
    url: str
    key: str
    model: str


Client = Callable[[Place], Ran]


def install() -> dict[str, str]:
    """Install every client once; return the versions by name.

    Errors: subprocess.CalledProcessError when a registry is not to be reached.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    mark = HOME / "installed.json"
    told = json.dumps([*wanted, AIDER])
    if not mark.exists() or mark.read_text() != told:
        (HOME / "package.json").write_text('{"private": true}')
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        _quietly([*npm, *wanted])
        for name, script in _SCRIPTS.items():
            _quietly(["node", script], HOME / "node_modules" / name)
        _quietly([sys.executable, "-m", "venv", "aider"])
        pip = str(HOME / "aider" / "bin" / "pip")
        _quietly([pip, "install", "--quiet", AIDER])
        mark.write_text(told)
    return {**PACKAGES, "aider-chat": AIDER.partition("==")[2]}


def claude_code(place: Place) -> Ran:
    """Run Claude Code; it speaks Anthropic messages."""
    env = {
        "ANTHROPIC_BASE_URL": place.url,
        "ANTHROPIC_AUTH_TOKEN": place.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    command = [_bin("claude"), "-p", _SAY, "--model", place.model]
    return _run(place, [*command, "--allowedTools", "Bash"], env)


def codex(place: Place) -> Ran:
    """Run Codex; it speaks responses."""
    settings = [
        f'model = "{place.model}"',
        'model_provider = "pool"',
        "[model_providers.pool]",
        'name = "pool"',
        f'base_url = "{place.url}/v1"',
        'env_key = "POOL_KEY"',
        'wire_api = "responses"',
    ]
    _write(place.work / ".codex" / "config.toml", "\n".join(settings))
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return _run(place, [_bin("codex"), "exec", *flags, _SAY], {"POOL_KEY": place.key})


def gemini_cli(place: Place) -> Ran:
    """Run the Gemini CLI; it speaks generateContent."""
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    _write(place.work / ".gemini" / "settings.json", json.dumps(settings))
    env = {"GEMINI_API_KEY": place.key, "GOOGLE_GEMINI_BASE_URL": place.url}
    flags = ["--skip-trust", "--yolo"]
    return _run(place, [_bin("gemini"), "-p", _SAY, "-m", place.model, *flags], env)


def code_assist(place: Place) -> Ran:
    """Run the Gemini CLI as if signed in at Google; it speaks Code Assist then."""
    settings = {"security": {"auth": {"selectedType": "oauth-personal"}}}
    _write(place.work / ".gemini" / "settings.json", json.dumps(settings))
    env = {
        "GOOGLE_GENAI_USE_GCA": "true",
        "GOOGLE_CLOUD_ACCESS_TOKEN": place.key,
        "CODE_ASSIST_ENDPOINT": place.url,
    }
    flags = ["--skip-trust", "--yolo"]
    return _run(place, [_bin("gemini"), "-p", _SAY, "-m", place.model, *flags], env)


def opencode(place: Place) -> Ran:
    """Run opencode; it speaks chat completions here."""
    return _opencode(place, "@ai-sdk/openai-compatible", "/v1")


def opencode_responses(place: Place) -> Ran:
    """Run opencode with the package that speaks responses."""
    return _opencode(place, "@ai-sdk/openai", "/v1")


def opencode_messages(place: Place) -> Ran:
    """Run opencode with the package that speaks Anthropic messages."""
    return _opencode(place, "@ai-sdk/anthropic", "/v1")


def opencode_google(place: Place) -> Ran:
    """Run opencode with the package that speaks generateContent."""
    return _opencode(place, "@ai-sdk/google", "/v1beta")


def _opencode(place: Place, package: str, version: str) -> Ran:
    options = {"baseURL": place.url + version, "apiKey": place.key}
    provider = {"npm": package, "options": options, "models": {place.model: {}}}
    settings = {"provider": {"pool": provider}}
    _write(place.work / "opencode.json", json.dumps(settings))
    env = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
    return _run(
        place, [_bin("opencode"), "run", "-m", f"pool/{place.model}", _SAY], env
    )


def aider(place: Place) -> Ran:
    """Run aider; it speaks chat completions and knows no tools."""
    env = {"OPENAI_API_BASE": f"{place.url}/v1", "OPENAI_API_KEY": place.key}
    flags = [
        "--yes-always",
        "--no-git",
        "--no-check-update",
        "--no-show-model-warnings",
        "--analytics-disable",
        "--no-pretty",
    ]
    program = str(HOME / "aider" / "bin" / "aider")
    model = f"openai/{place.model}"
    return _run(place, [program, "--model", model, "--message", _SAY, *flags], env)


CLIENTS: dict[str, tuple[str, Client]] = {
    "Claude Code": ("anthropic", claude_code),
    "Codex CLI": ("responses", codex),
    "Gemini CLI": ("google", gemini_cli),
    "Code-Assist by Gemini CLI": ("cloudcode", code_assist),
    "opencode": ("openai", opencode),
    "opencode-responses": ("responses", opencode_responses),
    "opencode-messages": ("anthropic", opencode_messages),
    "opencode-google": ("google", opencode_google),
    "aider": ("openai", aider),
}
"""Each client with the dialect it speaks."""


def _run(place: Place, command: list[str], env: dict[str, str]) -> Ran:
    place.work.mkdir(parents=True, exist_ok=True)
    kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    try:
        done = subprocess.run(
            command,
            cwd=place.work,
            env={**kept, "HOME": str(place.work), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        return Ran(-1, (slow.stdout or b"").decode("utf-8", "replace"))
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


def _bin(name: str) -> str:
    return str(HOME / "node_modules" / ".bin" / name)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _quietly(command: list[str], cwd: Path = HOME) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=600)
