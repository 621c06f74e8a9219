"""Every case of the conformance list has a test that bears its number, or a reason.

A test bears a number as ``t77`` in its name or in the id of one of its parameters. For
what no test function can be named after - SDKs and coding clients, which run one script
for many cases - a docstring that says ``T142`` counts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
LAST = 153
NAMED = ("tests/providers", "tests/clients", "tests/endtoend", "tests/usage")
TOLD = ("tests/clients", "scripts/proofs")
IN_A_NAME = re.compile(r"(?:^|[^a-z0-9])t(\d{1,3})(?![a-z0-9])", re.IGNORECASE)
IN_WORDS = re.compile(r"\bT(\d{1,3})\b")
ROW = re.compile(r"^\| T(\d{1,3}) \| (.+) \|$", re.MULTILINE)


def test_every_case_has_a_test_or_a_reason() -> None:
    missing = set(range(1, LAST + 1)) - numbered() - excused().keys()
    assert not missing, sorted(missing)


def test_no_reason_is_left_for_a_case_that_has_a_test() -> None:
    assert not excused().keys() & numbered()


def test_every_reason_says_something_of_a_case_there_is() -> None:
    assert all(1 <= number <= LAST for number in excused())
    assert all(len(reason) > 20 for reason in excused().values())


def test_numbers_are_found_where_they_stand() -> None:
    names = ["test_t9_t10_usage", "t38", "part_7", "at12", "test_it1_x", "test_t1x"]
    assert [IN_A_NAME.findall(name.replace("_", " ")) for name in names] == [
        ["9", "10"],
        ["38"],
        [],
        [],
        [],
        [],
    ]


@cache
def numbered() -> frozenset[int]:
    """Return the numbers tests bear."""
    found: set[int] = set()
    for path in _modules(NAMED):
        tree = ast.parse(path.read_text())
        for text in _names(tree):
            found.update(map(int, IN_A_NAME.findall(text.replace("_", " "))))
    for path in _modules(TOLD):
        for text in _docstrings(ast.parse(path.read_text())):
            found.update(map(int, IN_WORDS.findall(text)))
    return frozenset(found)


@cache
def excused() -> dict[int, str]:
    """Return the cases without a test and why, from the page of dialects."""
    page = (ROOT / "docs" / "dialects.md").read_text()
    table = page.partition("## Cases without a test")[2].partition("Tested in part")[0]
    return {int(number): reason for number, reason in ROW.findall(table)}


def _modules(folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of tests and the ids of their parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                yield node.name
        elif isinstance(node, ast.Call) and _is_of_pytest(node):
            for given in node.keywords:
                if given.arg in ("id", "ids"):
                    yield from _texts(given.value)


def _is_of_pytest(call: ast.Call) -> bool:
    made = call.func
    return isinstance(made, ast.Attribute) and made.attr in ("param", "parametrize")


def _texts(tree: ast.expr) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
