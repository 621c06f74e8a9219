"""Make the embedded catalogue from its sources, or tell whether it is as they say.

``python -m scripts.catalogue --models-dev FILE --genai-prices DIR --litellm FILE``
writes the files the product ships; ``--check`` writes nothing and fails when one of
them would change. docs/catalogue.md says where to get the sources.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from typing import Final

from scripts.catalogue.make import Inputs, made

ROOT: Final = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Run with the arguments of a command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.catalogue")
    parser.add_argument("--models-dev", type=Path, required=True)
    parser.add_argument("--genai-prices", type=Path, required=True)
    parser.add_argument("--litellm", type=Path, required=True)
    parser.add_argument("--openrouter", type=Path)
    parser.add_argument("--date", type=_day, required=True)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    inputs = Inputs(
        given.models_dev,
        given.genai_prices,
        given.litellm,
        given.date,
        given.openrouter,
    )
    result = made(inputs, ROOT)
    print("\n".join(result.summary))
    stale = [
        path
        for path, text in result.files.items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    ]
    for path in stale:
        print(f"{'differs' if given.check else 'written'}: {path}")
        if not given.check:
            (ROOT / path).write_text(result.files[path])
    return 1 if stale and given.check else 0


def _day(text: str) -> str:
    return datetime.date.fromisoformat(text).isoformat()


if __name__ == "__main__":
    sys.exit(main())
