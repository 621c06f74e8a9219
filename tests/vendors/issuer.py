"""A fake issuer of tokens: single-use codes and refresh tokens, and every trouble.

with Issuer("codex") as issuer:
    issuer.say("slow_down")      # the next poll is answered so
    issuer.approve()             # somebody typed the code

Each vendor's own shapes lie in ``tests.vendors.issuer_shapes``. Written from the
vendors' public references and programs that speak to them; nothing is recorded.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections import deque
from hashlib import sha256
from threading import Lock
from typing import Any, Self
from urllib.parse import parse_qsl

from tests.vendors.server import Asked, Reply, Vendor

NOW_S = 1_767_225_600.0
"""2026-01-01T00:00:00Z, where a manual clock begins."""


def fields(asked: Asked) -> dict[str, Any]:
    """Return what was sent, in whichever kind of body."""
    if "json" in asked.headers.get("content-type", ""):
        data = asked.json()
        return data if isinstance(data, dict) else {}
    return dict(parse_qsl(asked.body.decode()))


def jwt(claims: dict[str, Any]) -> str:
    """Return a token whose claims can be read; its signature is none."""
    parts = ({"alg": "none"}, claims)
    text = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*text, b"c2ln"]).decode()


class Issuer(Vendor):
    """Codes are typed once, spent once; a refresh token works once, then never."""

    def __init__(self, *, rotates: bool = True, expires_in: Any = 3600) -> None:
        super().__init__()
        self.rotates = rotates
        self.expires_in = expires_in
        self.script: deque[Reply] = deque()
        self.troubles: deque[Reply] = deque()
        self.issued = 0
        self.refreshes = 0
        self.is_approved = False
        self.challenges: dict[str, str] = {}
        self.spent: set[str] = set()
        self.live: set[str] = set()
        self.more: dict[str, Any] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def approve(self) -> None:
        """Have somebody type the code."""
        self.is_approved = True

    def say(self, error: str, *, status: int = 400, **more: Any) -> None:
        """Answer the next poll with an error."""
        self.script.append(Reply({"error": error, **more}, status=status))

    def fail(self, status: int, **headers: str) -> None:
        """Answer the next token request with a bare status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.troubles.append(Reply({}, status=status, headers=named))

    def hang(self, seconds: float) -> None:
        """Answer the next token request late, after the token was issued."""
        self.troubles.append(Reply("late", delay_s=seconds))

    def code_for(self, challenge: str) -> str:
        """Return a code as the browser would bring it back."""
        code = f"code-{len(self.challenges)}"
        self.challenges[code] = challenge
        return code

    def seed(self, refresh_token: str) -> None:
        """Know a refresh token from before."""
        self.live.add(refresh_token)

    def token(self, asked: Asked) -> Reply:
        """Answer the token endpoint by the book."""
        sent = fields(asked)
        with self._lock:
            if self.troubles:
                trouble = self.troubles.popleft()
                if trouble.body != "late":
                    return trouble
                return Reply(self._by_book(sent).body, delay_s=trouble.delay_s)
            return self._by_book(sent)

    def device(self, asked: Asked, **values: Any) -> Reply:
        """Answer the device endpoint by the book."""
        sent = fields(asked)
        if not sent.get("client_id"):
            return _error("invalid_client", 401)
        self.challenges["device-1"] = sent.get("code_challenge", "")
        return Reply(
            {
                "device_code": "device-1",
                "user_code": "ABCD-1234",
                "verification_uri": f"{self.root}/activate",
                "expires_in": 900,
                "interval": 5,
                **values,
            }
        )

    def issue(self) -> dict[str, Any]:
        """Return fresh tokens."""
        self.issued += 1
        refresh = f"refresh-{self.issued}"
        data = {
            "access_token": f"access-{self.issued}",
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            **self.more,
        }
        if self.rotates or self.issued == 1:
            self.live.add(refresh)
            data["refresh_token"] = refresh
        return data

    def _by_book(self, sent: dict[str, Any]) -> Reply:
        grant = sent.get("grant_type")
        if grant == "refresh_token":
            return self._refreshed(str(sent.get("refresh_token")))
        if grant == "authorization_code":
            return self._exchanged(sent)
        return self._polled(sent)

    def _polled(self, sent: dict[str, Any]) -> Reply:
        if self.script:
            return self.script.popleft()
        if sent.get("device_code") != "device-1":
            return _error("incorrect_device_code")
        if not self.is_approved:
            return _error("authorization_pending")
        if "device-1" in self.spent or not self._proves("device-1", sent):
            return _error("invalid_grant")
        self.spent.add("device-1")
        return Reply(self.issue())

    def _exchanged(self, sent: dict[str, Any]) -> Reply:
        code = str(sent.get("code"))
        known = code in self.challenges and code not in self.spent
        if not known or not self._proves(code, sent):
            return _error("invalid_grant")
        self.spent.add(code)
        return Reply(self.issue())

    def _refreshed(self, refresh_token: str) -> Reply:
        if refresh_token not in self.live:
            return _error("invalid_grant")
        if self.rotates:
            self.live.discard(refresh_token)
        self.refreshes += 1
        return Reply(self.issue())

    def _proves(self, code: str, sent: dict[str, Any]) -> bool:
        challenge = self.challenges.get(code, "")
        if not challenge:
            return True
        digest = sha256(str(sent.get("code_verifier", "")).encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge


def _error(code: str, status: int = 400) -> Reply:
    return Reply({"error": code, "error_description": "said by a test"}, status=status)
