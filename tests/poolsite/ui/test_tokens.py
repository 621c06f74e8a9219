"""The colours of both themes are readable: computed, not looked at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path("scripts/static/css/theme.css")
PLACES = ("bg", "surface", "raised", "sunken")
TONES = ("ok", "warn", "error", "info")


def themes() -> dict[str, dict[str, str]]:
    found = {}
    for block in SOURCE.read_text().split("@plugin")[1:]:
        name = re.search(r'name: "(\w+)"', block)
        assert name
        found[name[1]] = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    def linear(part: str) -> float:
        value = int(part, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(colour[at : at + 2]) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_pairs() -> list[tuple[str, str]]:
    pairs = [(word, place) for word in ("text", "muted") for place in PLACES]
    pairs += [("text", "hover"), ("muted", "hover"), ("accent", "hover")]
    pairs += [("accent", "bg"), ("accent", "surface"), ("accent", "accent-soft")]
    pairs += [("on-accent", "accent"), ("on-accent", "accent-strong")]
    for tone in TONES:
        pairs += [(tone, f"{tone}-soft"), (tone, "surface"), ("text", f"{tone}-soft")]
    return [*pairs, ("surface", "error")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("pair", text_pairs(), ids="-on-".join)
def test_text_has_enough_contrast(theme: str, pair: tuple[str, str]) -> None:
    tokens = themes()[theme]
    assert contrast(tokens[pair[0]], tokens[pair[1]]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("place", ["bg", "surface", "raised"])
def test_borders_of_controls_can_be_seen(theme: str, place: str) -> None:
    tokens = themes()[theme]
    assert contrast(tokens["control"], tokens[place]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("series", range(1, 9))
def test_chart_colours_stand_out_from_the_card(theme: str, series: int) -> None:
    tokens = themes()[theme]
    assert contrast(tokens[f"c{series}"], tokens["surface"]) >= 4.5


def test_both_themes_define_the_same_tokens() -> None:
    light, dark = themes()["light"], themes()["dark"]
    assert light.keys() == dark.keys()


def test_the_built_stylesheet_holds_the_tokens() -> None:
    built = Path("static/css/app.css").read_text()
    for tokens in themes().values():
        for name in ("bg", "accent", "muted"):
            assert tokens[name] in built
