"""The OpenAI model list."""

from __future__ import annotations

import json
import random
import re

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.dialects.openai_chat import ChatCompletions, odd_answer
from tests.upstream.dialects.openai_reply import CREATED
from tests.upstream.scenario import Scenario


class ModelList:
    """The dialect of `/v1/models` and `/v1/models/{id}`."""

    name = "openai-models"

    def __init__(self, models: list[str]) -> None:
        self.models = models

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path."""
        return method == "GET" and re.search(r"/models(/.+)?$", path) is not None

    def parse(self, path: str, body: bytes) -> Ask:
        """Take the model from the path."""
        model = path.partition("/models")[2].lstrip("/")
        return Ask(model=model, stream=False, prompt_tokens=0, payload={})

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """List the models, or one of them."""
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        rows = [
            {"id": name, "object": "model", "created": CREATED, "owned_by": "faultd"}
            for name in self.models
        ]
        if not ask.model:
            return document(json.dumps({"object": "list", "data": rows}).encode())
        row = next((row for row in rows if row["id"] == ask.model), None)
        if row is None:
            return self.error(404, "", f"The model '{ask.model}' does not exist")
        return document(json.dumps(row).encode())

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in the shape of chat completions."""
        return ChatCompletions().error(status, detail, message)

    def stream_error(self) -> Segment:
        """Build the event of chat completions; lists are never streamed."""
        return ChatCompletions().stream_error()
