"""Keys that look like real ones, to be planted and looked for."""

from __future__ import annotations

from typing import Final

from poolsite.client_keys import new_client_key

SECRETS: Final = {
    "client key": new_client_key().key.reveal(),
    "openai": "sk-proj-abcDEF0123456789abcDEF0123456789",
    "anthropic": "sk-ant-api03-abcDEF0123456789-abcDEF0123456789",
    "google": "AIza" + "SyA0123456789abcdefghijklmnopqrstuv",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_0123456789abcdefABCDEF0123456789abcd",
    "hugging face": "hf_abcdefghijklmnopqrstuvwxyz012345",
    "groq": "gsk_0123456789abcdefABCDEF0123456789",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3In0.c2lnbmF0dXJl",
    "admin token": "pa_0123abcd_ZXhhbXBsZS1vZi1hbi1hZG1pbi10b2tlbg",
    "own call": "ppi_eyJleGFtcGxlIjoxfQ.0123456789abcdef",
}
