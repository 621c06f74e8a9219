"""Take a credential out of an answer that repeats it.

What a vendor says is kept and shown: model names, errors, plans. A server that repeats
the key it was sent must not make it readable to everyone who may look at those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from poolsite.egress_control import Answer
from poolsite.secret_type import Secret

_SHORTEST: Final = 8
_HIDDEN: Final = b"****"


def without_secret(answer: Answer, secret: Secret | None) -> Answer:
    """Return an answer whose body does not hold the secret as it was sent."""
    text = b"" if secret is None else secret.reveal().encode()
    if len(text) < _SHORTEST or text not in answer.body:
        return answer
    return replace(answer, body=answer.body.replace(text, _HIDDEN))
