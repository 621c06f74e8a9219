"""Write the lines a person pastes into a client to use the pool.

The key itself appears only on the page that just created it; everywhere else the
snippets say ``$POOL_KEY``.
"""

from __future__ import annotations

import re

from django.conf import settings

from providers.models import ProviderModel

_ENV_KEY = "$POOL_KEY"
_LOOKED_AT = 1000
_PLAIN = re.compile(r"^[\w./:@+-]+\Z", re.ASCII)
_CHAT_WORDS = ("mini", "flash", "haiku", "small", "chat", "instruct", "gpt")
_OTHER_WORDS = ("embed", "whisper", "tts", "moderation", "image")


def a_model() -> str:
    """Name a model worth trying, a small chat model if there is one; one query."""
    rows = ProviderModel.objects.filter(
        deleted_at=None, enabled=True, provider__enabled=True, provider__deleted_at=None
    )
    names = list(
        rows.order_by("-provider__priority", "model_id").values_list(
            "model_id", flat=True
        )[:_LOOKED_AT]
    )
    names = [name for name in names if _PLAIN.match(name)]
    chat = [name for name in names if not any(word in name for word in _OTHER_WORDS)]
    for word in _CHAT_WORDS:
        for name in chat:
            if word in name:
                return name
    return (chat or names or [""])[0]


def for_clients(model: str, key: str = "") -> list[tuple[str, str]]:
    """Return (client, text) pairs for a model, with the key or its variable."""
    base = settings.CONFIG.effective_public_url
    if not _PLAIN.match(model):  # a vendor's list must not write into a person's shell
        model = "your-model"
    shown = key or _ENV_KEY
    in_code = f'"{key}"' if key else 'os.environ["POOL_KEY"]'
    in_js = f'"{key}"' if key else "process.env.POOL_KEY"
    return [
        (
            "curl",
            f"curl {base}/v1/chat/completions \\\n"
            f'  -H "Authorization: Bearer {shown}" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            f'  -d \'{{"model": "{model}", "messages": '
            '[{"role": "user", "content": "Say hello"}]}\'',
        ),
        (
            "Python",
            ("" if key else "import os\n")
            + "from openai import OpenAI\n\n"
            + f'client = OpenAI(base_url="{base}/v1", api_key={in_code})\n'
            + "answer = client.chat.completions.create(\n"
            + f'    model="{model}",\n'
            + '    messages=[{"role": "user", "content": "Say hello"}],\n)\n'
            + "print(answer.choices[0].message.content)",
        ),
        (
            "JavaScript",
            'import OpenAI from "openai";\n\n'
            f'const client = new OpenAI({{ baseURL: "{base}/v1", apiKey: {in_js} }});\n'
            "const answer = await client.chat.completions.create({\n"
            f'  model: "{model}",\n'
            '  messages: [{ role: "user", content: "Say hello" }],\n});\n'
            "console.log(answer.choices[0].message.content);",
        ),
        (
            ".env",
            f"OPENAI_BASE_URL={base}/v1\nOPENAI_API_KEY={key or '<your pool key>'}",
        ),
        *_coding_clients(base, model, shown),
    ]


def _coding_clients(base: str, model: str, shown: str) -> list[tuple[str, str]]:
    """Return the lines of the clients that `make prove` runs."""
    return [
        (
            "Claude Code",
            f"export ANTHROPIC_BASE_URL={base}\n"
            f"export ANTHROPIC_AUTH_TOKEN={shown}\n"
            f"claude --model {model}",
        ),
        (
            "Codex",
            "# ~/.codex/config.toml\n"
            f'model = "{model}"\nmodel_provider = "pool"\n'
            '[model_providers.pool]\nname = "pool"\n'
            f'base_url = "{base}/v1"\nenv_key = "POOL_KEY"\nwire_api = "responses"\n\n'
            f"# shell\nexport POOL_KEY={shown if shown != _ENV_KEY else '<your pool key>'}\ncodex",
        ),
        (
            "Gemini CLI",
            "# ~/.gemini/settings.json\n"
            '{"security": {"auth": {"selectedType": "gemini-api-key"}}}\n\n'
            "# shell\n"
            f"export GOOGLE_GEMINI_BASE_URL={base}\n"
            f"export GEMINI_API_KEY={shown}\n"
            f"gemini -m {model}",
        ),
    ]
