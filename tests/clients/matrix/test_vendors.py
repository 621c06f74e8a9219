"""The same questions without the pool: what fails here is no fault of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.matrix.features import FEATURES, Where
from tests.clients.matrix.speakers import INEXPRESSIBLE, SPEAKERS
from tests.rig.product import DEFAULT_API_KEY
from tests.rig.thread import UpstreamThread

CELLS = [
    (speaker, feature)
    for speaker in SPEAKERS
    for feature in FEATURES
    # SDKs do not notice a stream that merely ends; the pool tells them.
    if (speaker, feature) not in INEXPRESSIBLE and feature != "cut stream"
]


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamThread]:
    with UpstreamThread(tmp_path_factory.mktemp("vendors")) as upstream:
        yield upstream


@pytest.mark.parametrize(("speaker", "feature"), CELLS)
def test_vendor_itself(vendor: UpstreamThread, speaker: str, feature: str) -> None:
    made = SPEAKERS[speaker](vendor.base_url.removesuffix("/v1"), DEFAULT_API_KEY)
    try:
        FEATURES[feature](made, Where("", speaker, vendor))
    finally:
        made.close()
