"""Say which rule refused a request before any provider was asked."""

from __future__ import annotations

from typing import Final

RULES: Final = {
    "insufficient_quota": "A hard budget had too little left for this request.",
    "rate_limit_exceeded": "A limit of the client key was reached: requests, tokens "
    "or calls at the same time.",
    "limits_unavailable": "The store of limits did not answer, so no limit could be "
    "checked.",
    "budget_share_used_up": "Redis did not answer, and the part of a hard budget that "
    "this process may spend without it was used up.",
    "model_not_found": "No provider and no alias has a model of this name.",
    "model_not_allowed": "The client key may not use this model.",
    "model_not_served": "Nobody who has this model can serve it now.",
    "model_unpriced": "The model has no known price, and the client key may only use "
    "models that have one.",
    "no_provider": "No provider is left that could be asked.",
    "not_supported": "No provider of this model can do what the request needs.",
    "api_key_expired": "The client key had expired.",
    "address_not_allowed": "The client key may not be used from this address.",
    "invalid_json": "The body was not JSON.",
    "invalid_request": "The body was not a request of this dialect.",
    "request_too_large": "The body was larger than the pool takes.",
    "unsupported_encoding": "The body was compressed in a way the pool does not know.",
    "invalid_encoding": "The body could not be unpacked.",
    "too_many_files": "It named more files than the pool fetches for one request.",
    "file_not_fetched": "A file it pointed to could not be fetched.",
    "translation_failed": "It could not be written in the dialect of any provider.",
    "client_closed": "The client left before a provider was asked.",
    "draining": "The pool was restarting.",
    "cannot_record": "The journal could not be written, and what is not recorded is "
    "not done.",
    "snapshot_stale": "The pool's configuration was older than it may be.",
    "overloaded": "The pool had too much to do.",
    "request_timeout": "It took longer than the pool allows.",
}


def rule(code: str) -> str:
    """Return the rule behind an error code, blank for one without words."""
    return RULES.get(code, "")
