"""Sign a call of Volcengine's open API.

Source:  the vendor's description of its HMAC-SHA256 signature: like AWS's fourth
         version without its prefix, with the signed headers in a fixed order and a
         scope that ends in ``request``.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

HOST: Final = "open.volcengineapi.com"
_REGION: Final = "cn-beijing"
_SERVICE: Final = "ark"
_SIGNED: Final = "host;x-date;x-content-sha256;content-type"
_TYPE: Final = "application/json"


class Pair(NamedTuple):
    """An access key and its secret."""

    access: str
    secret: str

    def __repr__(self) -> str:
        return "Pair(...)"


def sign(pair: Pair, path: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the headers of a signed POST to ``HOST``.

    Shapes:  ``path`` with its query.
    """
    parts = urlsplit(path)
    date = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(parse_qsl(parts.query))
    )
    headers = f"host:{HOST}\nx-date:{date}\nx-content-sha256:{digest}\n"
    headers += f"content-type:{_TYPE}\n"
    canonical = "\n".join(("POST", parts.path or "/", query, headers, _SIGNED, digest))
    scope = f"{date[:8]}/{_REGION}/{_SERVICE}/request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = pair.secret.encode()
    for step in (date[:8], _REGION, _SERVICE, "request"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = f"HMAC-SHA256\n{date}\n{scope}\n{hashed}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {
        "x-date": date,
        "x-content-sha256": digest,
        "content-type": _TYPE,
        "authorization": (
            f"HMAC-SHA256 Credential={pair.access}/{scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}"
        ),
    }
