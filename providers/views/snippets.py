"""Write the lines a person pastes into a client to use the pool.

The key itself appears only on the page that just created it; everywhere else the
snippets say ``$POOL_KEY``.
"""

from __future__ import annotations

from django.conf import settings

_ENV_KEY = "$POOL_KEY"


def for_clients(model: str, key: str = "") -> list[tuple[str, str]]:
    """Return (client, text) pairs for a model, with the key or its variable."""
    base = settings.CONFIG.effective_public_url
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
    ]
