"""Sign a test's requests where a secret signs instead of travelling."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from providers.discovery.asking import Candidate, Signer
from providers.proxy import auth_clouds
from providers.proxy.exchange import AttemptFailedError

_SERVICE = "bedrock"
_JSON = "application/json"


def signer_of(candidate: Candidate) -> Signer | None:
    """Return what signs a candidate's requests, None where only the proxy can.

    AWS signs without asking anybody; Google and Microsoft change the secret into a
    token first, which the proxy does.
    """
    if candidate.auth_scheme != "sigv4":
        return None
    return partial(_sign_aws, candidate.options)


def _sign_aws(
    options: Mapping[str, str], method: str, url: str, body: bytes, secret: str
) -> Mapping[str, str]:
    try:
        keys = auth_clouds.read_aws(secret)
        region = auth_clouds.aws_region(options, url)
        scope = (region, _SERVICE, _JSON)
        return auth_clouds.sigv4(keys, method, url, body, scope=scope)
    except AttemptFailedError as exc:
        failure = ValueError(str(exc))
    # No cause: nothing of the secret travels with a failure.
    raise failure
