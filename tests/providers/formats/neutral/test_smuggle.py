from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode

import pytest

from providers.formats.neutral.smuggle import NOTHING, PREFIX, is_packed, pack, unpack
from providers.formats.neutral.types import Opaque

PROOF = Opaque(family="anthropic", slot="redacted", data="é+/=", scope="a", model="m")


def test_t90_packed_proof_comes_back_as_it_was():
    slot = pack(PROOF)
    assert is_packed(slot)
    assert unpack(slot) == PROOF


def test_envelope_is_base64_in_either_alphabet():
    slot = pack(Opaque(family="anthropic", slot="signature", data="ÿ~?" * 40))
    raw = b64decode(slot, validate=True)
    assert unpack(urlsafe_b64encode(raw).decode()) == unpack(slot)
    assert unpack(slot) is not None


@pytest.mark.parametrize("slot", ["", "gAAAA", PREFIX, f"{PREFIX}%%%", f"{PREFIX}é"])
def test_what_was_not_packed_here_is_no_proof(slot):
    assert unpack(slot) is None


def test_a_slot_cut_anywhere_is_no_proof():
    slot = pack(PROOF)
    assert all(unpack(slot[:size]) is None for size in range(len(slot)))


def test_the_mark_of_no_proof_is_no_proof():
    assert unpack(pack(NOTHING)) is None
