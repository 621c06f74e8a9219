"""Every template of the product keeps to the rules the policy enforces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEMPLATES = sorted(Path("templates").rglob("*.html"))
ICONS = set(re.findall(r'<symbol id="([\w-]+)"', Path("static/icons.svg").read_text()))
FORBIDDEN = {
    "inline style": r"\sstyle\s*=",
    "inline handler": r"\s(?:on[a-z]+|hx-on[:\w-]*)\s*=",
    "evaluated values": r"hx-vals\s*=\s*['\"]js:",
    "trigger filter": r"hx-trigger\s*=\s*\"[^\"]*\[",
    "inline script": r"<script(?![^>]*\ssrc=)",
    "boost": r"hx-boost",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
@pytest.mark.parametrize("rule", FORBIDDEN)
def test_a_template_needs_no_exception_from_the_policy(path: Path, rule: str) -> None:
    assert not re.search(FORBIDDEN[rule], path.read_text())


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_every_post_form_carries_its_token(path: Path) -> None:
    text = path.read_text()
    forms = re.findall(r'<form[^>]*method="post"(.*?)</form>', text, re.DOTALL)
    assert all("{% csrf_token %}" in form for form in forms)


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_every_icon_is_in_the_sprite(path: Path) -> None:
    used = re.findall(r'{% icon "([\w-]+)"', path.read_text())
    used += re.findall(r'symbol="([\w-]+)"', path.read_text())
    used += re.findall(r'{% empty "[^"]*" "([\w-]+)"', path.read_text())
    assert set(used) <= ICONS


def test_icons_named_in_code_are_in_the_sprite() -> None:
    text = Path("poolsite/ui/shell.py").read_text()
    assert set(re.findall(r'Entry\("[^"]+", "([\w-]+)"', text)) <= ICONS
