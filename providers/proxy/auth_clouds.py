"""Read the credentials of three clouds and make their proof; no network here.

The libraries are optional: each is loaded with the first call that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import msgspec

from poolsite.destinations import parse_url
from providers.proxy.auth_tokens import unusable

GOOGLE_TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105
GOOGLE_HOSTS: Final = frozenset({"oauth2.googleapis.com"})
GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
ENTRA_TOKEN_URL: Final = "https://login.microsoftonline.com/{}/oauth2/v2.0/token"  # noqa: S105
ENTRA_HOSTS: Final = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
    }
)
ENTRA_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIBRARIES: Final = {
    "sigv4": ("botocore.auth", "botocore.awsrequest", "botocore.credentials"),
    "google-sa": ("google.auth.jwt", "google.auth.crypt"),
}
_JWT_LIFE_S: Final = 3_600
_TENANT: Final = re.compile(r"[A-Za-z0-9.-]{1,255}")
_REGION_IN_HOST: Final = re.compile(
    r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com|api\.aws)"
)


class AwsKeys(msgspec.Struct, frozen=True):
    """An access key, and the session it belongs to."""

    access: str
    secret: str
    session: str = ""

    def __repr__(self) -> str:
        # Keys must not reach a log through a stray repr.
        return "<AwsKeys>"


class ServiceAccount(msgspec.Struct, frozen=True):
    """What of a service account's file is used."""

    client_email: str
    private_key: str
    private_key_id: str = ""

    def __repr__(self) -> str:
        return "<ServiceAccount>"


class EntraClient(msgspec.Struct, frozen=True):
    """An application of one tenant."""

    tenant_id: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "<EntraClient>"


def load(scheme: str) -> None:
    """Load the libraries a scheme needs.

    Errors:  AttemptFailedError naming the package that is missing.
    """
    for name in _LIBRARIES.get(scheme, ()):
        _library(name)


def read_aws(text: str) -> AwsKeys:
    """Read ``ACCESS:SECRET[:SESSION]``, or a JSON object in AWS's spelling.

    Errors:  AttemptFailedError; its words hold nothing of the text.
    """
    if text.lstrip()[:1] == "{":
        known = _json_words(text)
        parts = [
            known.get("accesskeyid", ""),
            known.get("secretaccesskey", ""),
            known.get("sessiontoken", "") or known.get("token", ""),
        ]
    else:
        parts = [*text.strip().split(":", 2), "", ""]
    if not parts[0] or not parts[1]:
        raise unusable("An AWS credential is ACCESS:SECRET[:SESSION] or JSON.")
    return AwsKeys(parts[0], parts[1], parts[2])


def read_google(text: str) -> ServiceAccount:
    """Read the JSON file of a service account.

    Errors:  AttemptFailedError.
    """
    try:
        return msgspec.json.decode(text, type=ServiceAccount)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        # No cause: it would hold pieces of the secret.
        failure = unusable("A Google credential is a service account's JSON file.")
    raise failure


def read_entra(text: str) -> EntraClient:
    """Read ``TENANT:CLIENT:SECRET``, or a JSON object of these three.

    Errors:  AttemptFailedError.
    """
    if text.lstrip()[:1] == "{":
        known = _json_words(text)
        parts = [
            known.get("tenantid", "") or known.get("tenant", ""),
            known.get("clientid", ""),
            known.get("clientsecret", ""),
        ]
    else:
        parts = text.strip().split(":", 2)
    if len(parts) != 3 or not all(parts) or not _TENANT.fullmatch(parts[0]):
        raise unusable("An Entra credential is TENANT:CLIENT:SECRET or JSON.")
    return EntraClient(*parts)


def aws_region(options: Mapping[str, str], url: str) -> str:
    """Return the region a request is signed for: the option, or the host's own.

    Errors:  AttemptFailedError.
    """
    if options.get("region"):
        return options["region"]
    found = _REGION_IN_HOST.search(parse_url(url).host)
    if found is None:
        raise unusable("An AWS provider needs the option region.")
    return found[1]


def sigv4(
    keys: AwsKeys, method: str, url: str, body: bytes, *, scope: tuple[str, str, str]
) -> dict[str, str]:
    """Sign a request as it will be sent; return the headers that prove it.

    Shapes:  ``scope`` is region, service and the content type that is sent.
    Errors:  AttemptFailedError where the library is missing.
    Cost:    some 150 us, and the hash of the body.
    """
    region, service, content_type = scope
    auth, awsrequest, credentials = map(_library, _LIBRARIES["sigv4"])
    # The client writes the path as its own parser reads it: that is what is signed.
    wire_url = str(parse_url(url).url)
    request = awsrequest.AWSRequest(
        method=method, url=wire_url, data=body, headers={"content-type": content_type}
    )
    known = credentials.Credentials(keys.access, keys.secret, keys.session or None)
    auth.SigV4Auth(known, service, region).add_auth(request)
    signed = {name.lower(): str(value) for name, value in request.headers.items()}
    signed.pop("content-type", None)
    return signed


def google_assertion(
    account: ServiceAccount, *, audience: str, scope: str, now_s: float
) -> str:
    """Sign the claim a service account changes into a token.

    Errors:  AttemptFailedError for a key that is none, or a missing library.
    """
    jwt, crypt = map(_library, _LIBRARIES["google-sa"])
    now = int(now_s)
    claims = {
        "iss": account.client_email,
        "aud": audience,
        "scope": scope,
        "iat": now,
        "exp": now + _JWT_LIFE_S,
    }
    key_id = account.private_key_id or None
    try:
        signer = crypt.RSASigner.from_string(account.private_key, key_id)
        return str(jwt.encode(signer, claims).decode())
    except (ValueError, TypeError):
        # No cause: it may quote the key.
        failure = unusable("The service account's private key cannot be read.")
    raise failure


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = "botocore" if name.startswith("botocore") else "google-auth"
        words = f"Credentials of this kind need: pip install {package}."
        raise unusable(words) from error


def _json_words(text: str) -> dict[str, str]:
    """Return an object's texts by their names, however those are spelt."""
    try:
        value = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    return {
        re.sub("[^a-z]", "", name.lower()).removeprefix("aws"): each
        for name, each in value.items()
        if isinstance(each, str)
    }
