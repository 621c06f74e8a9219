"""Read what an upstream told instead of an answer, and judge it."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from poolsite.secret_type import Secret
from providers.proxy import stream, translate, verdict
from providers.proxy.call import Call
from providers.proxy.exchange import Failure, UpstreamCall
from providers.proxy.ports import Answer

_GAP_S: Final = 10.0
_AWS_ERROR: Final = "x-amzn-errortype"


async def judged(
    call: Call, out: UpstreamCall, answer: Answer, *, now_s: float
) -> Failure:
    """Read and judge an answer that is an error.

    What of its headers may reach the client is kept for when nobody else serves.
    """
    wire = out.candidate.wire
    data = await stream.read_error_body(
        answer, call.watch, gap_s=_GAP_S, limit=translate.SCAN_LIMIT_BYTES
    )
    said = wire.read_error(answer.status, data)
    if said.code is None and _AWS_ERROR in answer.headers:
        said = replace(said, code=answer.headers[_AWS_ERROR].partition(":")[0])
    detail = translate.redacted_detail(said, out.secret)
    is_same = wire is call.inbound.wire
    call.error_headers = translate.returned_headers(
        answer.headers, out, is_same=is_same
    )
    return verdict.judge_status(answer.status, detail, answer.headers, now_s=now_s)


def redacted(failure: Failure, secret: Secret | None) -> Failure:
    """Take the secret out of whatever an upstream worded."""
    if secret is None:
        return failure
    reason = translate.redact(failure.reason.encode(), secret)
    return replace(
        failure,
        detail=translate.redacted_detail(failure.detail, secret),
        reason=reason.decode("utf-8", "replace"),
    )
