"""Prove that no other module of the product loads an HTTP client."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("poolsite", "providers", "usage", "pricing", "oauth")
CLIENTS = {
    "aiohttp",
    "ftplib",
    "http.client",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "requests",
    "urllib.request",
    "urllib3",
}
ALLOWED = {"poolsite/egress.py", "poolsite/egress_control.py"}


def imported_by(path: Path) -> set[str]:
    """Every module a file names in an import statement, with its parents."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names | {name.partition(".")[0] for name in names}


def test_only_egress_imports_an_http_client() -> None:
    offenders = {
        str(path.relative_to(ROOT)): sorted(found)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if (found := imported_by(path) & CLIENTS)
    }
    assert set(offenders) <= ALLOWED, offenders


def test_the_pure_ground_loads_neither_django_nor_the_control_client() -> None:
    code = (
        "import sys, poolsite.crypto, poolsite.egress, poolsite.clock, poolsite.money,"
        " poolsite.ids\n"
        "bad = [m for m in ('django', 'httpx2', 'httpcore2') if m in sys.modules]\n"
        "sys.exit(','.join(bad) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
