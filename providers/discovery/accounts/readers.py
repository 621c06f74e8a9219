"""Say which vendor tells what, and how to read it.

A provider of the catalogue is known by its id, any other by the host of its base URL.
Who is in neither table, and is no relay either, does not report: that is shown as such,
never as zero.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from providers.discovery.accounts import plans, prepaid, relays, signins
from providers.discovery.accounts.answer import Reader

BY_CATALOGUE: Final[dict[str, Reader]] = {
    "openrouter": prepaid.openrouter,
    "openrouter-free": prepaid.openrouter,
    "deepseek": prepaid.deepseek,
    "siliconflow": prepaid.siliconflow,
    "siliconflow-cn": prepaid.siliconflow,
    "moonshot": prepaid.moonshot,
    "moonshot-cn": prepaid.moonshot,
    "stepfun": prepaid.stepfun,
    "novita": prepaid.novita,
    "venice": prepaid.venice,
    "kimi-coding": plans.kimi,
    "zhipu-coding": plans.zhipu,
    "zai-coding": plans.zhipu,
    "zhipu": plans.zhipu,
    "zai": plans.zhipu,
    "minimax": plans.minimax,
    "minimax-intl": plans.minimax,
    "zenmux": plans.zenmux,
}

BY_HOST: Final[dict[str, Reader]] = {
    "openrouter.ai": prepaid.openrouter,
    "api.deepseek.com": prepaid.deepseek,
    "api.siliconflow.cn": prepaid.siliconflow,
    "api.siliconflow.com": prepaid.siliconflow,
    "api.moonshot.cn": prepaid.moonshot,
    "api.moonshot.ai": prepaid.moonshot,
    "api.stepfun.com": prepaid.stepfun,
    "api.novita.ai": prepaid.novita,
    "api.venice.ai": prepaid.venice,
    "api.kimi.com": plans.kimi,
    "open.bigmodel.cn": plans.zhipu,
    "api.z.ai": plans.zhipu,
    "api.minimaxi.com": plans.minimax,
    "api.minimax.io": plans.minimax,
    "zenmux.ai": plans.zenmux,
    "open.volcengineapi.com": plans.volcengine,
}

BY_SIGN_IN: Final[dict[str, Reader]] = {
    "claude": signins.claude,
    "codex": signins.codex,
    "copilot": signins.copilot,
    "gemini-cli": signins.gemini_cli,
    "antigravity": signins.antigravity,
}

SIGN_INS_AT: Final = {
    "claude-oauth": "claude",
    "openai-codex": "codex",
    "github-copilot": "copilot",
    "google-gemini-cli": "gemini-cli",
    "google-antigravity": "antigravity",
}
"""Which sign-in a provider of the catalogue takes, for tokens somebody pasted."""

SILENT: Final = frozenset(
    {
        "api.openai.com",
        "api.anthropic.com",
        "generativelanguage.googleapis.com",
        "api.groq.com",
        "api.mistral.ai",
        "api.x.ai",
        "api.together.xyz",
        "api.fireworks.ai",
        "api.cerebras.ai",
        "api.cohere.ai",
        "api.perplexity.ai",
    }
)
"""Hosts known to tell a model key nothing: they are not asked."""


def reader_for(catalogue_id: str, base_url: str, *, is_relay: bool) -> Reader | None:
    """Return who reads the account behind an API key; None where nobody can.

    Shapes:  ``is_relay`` lets an unknown host be asked as a relay would be.
    """
    host = host_of(base_url)
    found = BY_CATALOGUE.get(catalogue_id) or BY_HOST.get(host)
    if found is not None:
        return found
    return relays.relay if is_relay and host not in SILENT else None


def reader_of_sign_in(vendor: str, catalogue_id: str) -> Reader | None:
    """Return who reads the plan behind a sign-in; None where nobody can."""
    return BY_SIGN_IN.get(vendor) or BY_SIGN_IN.get(SIGN_INS_AT.get(catalogue_id, ""))


def host_of(url: str) -> str:
    """Return a URL's host in lower case; blank for what has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
