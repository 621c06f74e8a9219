from __future__ import annotations

import pytest

from providers.formats.neutral.smuggle import is_packed, pack, unpack
from providers.formats.neutral.types import Opaque

PROOF = Opaque(family="anthropic", slot="redacted", data="é+/=", scope="a", model="m")


def test_t90_packed_proof_comes_back_as_it_was():
    other = Opaque(family="google", slot="thought_signature", data="x" * 5000)
    slot = pack([PROOF, other])
    assert is_packed(slot)
    assert unpack(slot) == (PROOF, other)


@pytest.mark.parametrize("slot", ["", "gAAAA", "pp1.", "pp1.%%%", "pp1.e30", "pp1.é"])
def test_what_was_not_packed_here_is_no_proof(slot):
    assert unpack(slot) == ()


def test_a_slot_cut_anywhere_is_no_proof_and_no_fault():
    slot = pack([PROOF])
    assert all(unpack(slot[:size]) in ((), (PROOF,)) for size in range(len(slot)))


def test_no_proof_packs_to_nothing():
    assert pack([]) == ""
