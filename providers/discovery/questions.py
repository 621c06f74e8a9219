"""Know how each kind of provider is asked whether it takes a key, without paying.

One question, and how its answer is read. Most list their models; where there is no
list, a call that is refused for its content proves the key all the same.

Source: reference seeds 5.8; each vendor's documentation of its list of models.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.discovery.asking import Candidate, Heard
from providers.formats import registry
from providers.formats.base import Target
from providers.formats.bedrock_converse.errors import read_error_body
from providers.formats.bedrock_converse.names import model_path
from providers.formats.envelopes.azure import azure_path

_REFUSED: Final = frozenset({401, 403})
_ANTHROPIC_VERSION: Final = {"anthropic-version": "2023-06-01"}
_BEDROCK: Final = frozenset({"bedrock", "bedrock-invoke"})
_BEDROCK_MODEL: Final = "amazon.nova-micro-v1:0"
AWS_AUTH_CODES: Final = frozenset(
    {
        "invalidclienttokenid", "signaturedoesnotmatch", "unrecognizedclientexception",
        "expiredtoken", "expiredtokenexception", "invalidsignatureexception",
        "accessdenied", "accessdeniedexception", "authfailure",
    }
)  # fmt: skip
_SITES: Final = (
    (("moonshot.", "kimi."), "Keys of api.moonshot.cn and api.moonshot.ai differ."),
    (("siliconflow.",), "Keys of siliconflow.cn and siliconflow.com differ."),
    (("dashscope",), "Keys of dashscope and dashscope-intl differ."),
    (("bigmodel.cn", "z.ai"), "Keys of open.bigmodel.cn and api.z.ai differ."),
    (("minimax",), "Keys of api.minimaxi.com and api.minimax.io differ."),
    (("stepfun.",), "Keys of api.stepfun.com and api.stepfun.ai differ."),
    (("openai.azure.com",), "A key belongs to one resource of Azure."),
    (("amazonaws.com",), "A credential may be limited to some regions and models."),
)
"""Whose keys are good for one of several addresses only."""
_LOCATION: Final = re.compile(r"[a-z0-9-]{1,40}")


class Question(msgspec.Struct, frozen=True):
    """What is asked.

    Shapes:  ``refusals`` are the statuses that mean "not this key"; ``lists`` = the
             answer is a list of models; ``missing`` is why it cannot be asked at all.
    """

    path: str = ""
    method: str = "GET"
    body: bytes | None = None
    headers: dict[str, str] = {}
    refusals: frozenset[int] = _REFUSED
    lists: bool = True
    missing: str = ""


def question_of(candidate: Candidate) -> Question:
    """Return what a provider of this format is asked."""
    name = candidate.api_format
    if name == "anthropic":
        path = registry.get(name).upstream_path("models", model="", stream=False)
        return Question(path, headers=_ANTHROPIC_VERSION)
    if name == "google":
        # Google answers a key it does not know with 400.
        return Question("/models", refusals=_REFUSED | {400})
    if name == "azure":
        target = Target(model="", options=candidate.options)
        return Question(azure_path("/models", target))
    if name == "vertex":
        return _of_vertex(candidate)
    if name in _BEDROCK:
        # The runtime has no list; a call without messages is refused after the key.
        body = msgspec.json.encode({"messages": []})
        path = model_path(_BEDROCK_MODEL, "converse")
        return Question(path, "POST", body, lists=False)
    wire = registry.get(name)
    path = wire.upstream_path("models", model="", stream=False)
    if name == "cloudcode":
        return Question(path, "POST", b"{}", lists=False)
    return Question(path)


def is_refusal(question: Question, candidate: Candidate, heard: Heard) -> bool:
    """Tell whether an answer means that the key is not accepted."""
    if heard.answer is None:
        return False
    if candidate.api_format in _BEDROCK:
        return aws_code(heard) in AWS_AUTH_CODES or heard.status in _REFUSED
    return heard.status in question.refusals


def proves_key(question: Question, candidate: Candidate, heard: Heard) -> bool:
    """Tell whether an answer other than a list means that the key was accepted."""
    if question.lists or is_refusal(question, candidate, heard):
        return False
    if candidate.api_format in _BEDROCK:
        # Only AWS names its refusals; a stranger's 404 proves nothing.
        return heard.status == 200 or bool(aws_code(heard))
    return heard.status == 200


def aws_code(heard: Heard) -> str:
    """Return the code of AWS's error in lower case, blank without one."""
    if heard.answer is None:
        return ""
    header = heard.answer.headers.get("x-amzn-errortype", "")
    detail = read_error_body(heard.answer.status, heard.answer.body, header)
    return (detail.type or "").lower()


def _of_vertex(candidate: Candidate) -> Question:
    options = candidate.options
    if not options.get("project"):
        return Question(missing="Vertex AI needs the option project.")
    location = options.get("location", "")
    if not _LOCATION.fullmatch(location):
        return Question(
            missing="Vertex AI needs the option location, in lower case: us-central1, "
            "europe-west4, global."
        )
    path = registry.get("vertex").upstream_path("models", model="", stream=False)
    return Question(path)


def region_cure(candidate: Candidate) -> str:
    """Say what to look at when a key is refused at this address."""
    for words, cure in _SITES:
        if any(word in candidate.base_url for word in words):
            return cure
    return "Check that the key is whole, not revoked, and of this very vendor."
