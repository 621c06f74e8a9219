"""Prove that no version nobody lists gets a price, whoever is asked for it."""

from __future__ import annotations

import pytest

from scripts.proofs import prices


@pytest.mark.parametrize("seed", [1, 4])
def test_no_listed_model_with_a_number_raised_is_priced(seed: int) -> None:
    for figure in prices.run(seed, short=True):
        assert figure.ok, figure
