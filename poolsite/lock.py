"""The locked console: the encryption keys are not this database's keys.

Nothing that needs a secret may run then, and nothing may be written with the wrong
key. Every page says why and what to do, and health says that nothing is served.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from typing import Final

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

REASON_VARIABLE: Final = "POOL_LOCK_REASON"
_HEALTH: Final = ("/healthz", "/readyz")
_PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Locked - Provider Pool</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body>
<main>
<h1>Provider Pool is locked</h1>
<p>{reason}</p>
<p>What to do: put back the encryption keys that belong to this database, in
<code>POOL_ENCRYPTION_KEYS</code> or in the file <code>keys/encryption_keys</code> of the
data directory, then start again. Nothing was changed, and no client is served until
then.</p>
</main>
</body>
</html>
"""


class LockMiddleware:
    """Answer everything with the reason while the product is locked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._reason = os.environ.get(REASON_VARIABLE, "")
        if not self._reason:
            raise MiddlewareNotUsed

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Say why, with a status that tells a load balancer to go elsewhere."""
        if request.path in _HEALTH:
            return HttpResponse("locked\n", content_type="text/plain", status=503)
        page = _PAGE.format(reason=escape(self._reason))
        answer = HttpResponse(page, status=503)
        answer["Cache-Control"] = "no-store"
        answer["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return answer
