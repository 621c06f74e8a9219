from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.framings import SseSplitter
from providers.formats.gemini_generate.splitting import CrlfSplitter

PIECES = [
    b"data: a\r\n\r\n",
    b"data: b\n\n",
    b": c\r\n\r\n",
    b"data:x\r\n\r\n",
    b"data: d\r\ndata: e\r\n\r\n",
    b"\r\n",
    b"data: \r\n\r\n",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=5), st.lists(st.integers(0, 60)))
def test_frames_are_those_of_the_plain_splitter(pieces, cuts):
    data = b"".join(pieces)
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[a:b] for a, b in pairwise(borders)]
    found = []
    for splitter in (SseSplitter(), CrlfSplitter()):
        frames = [frame for chunk in chunks for frame in splitter.feed(chunk)]
        found.append([payload for _, payload in (*frames, *splitter.finish())])
    assert found[0] == found[1]
