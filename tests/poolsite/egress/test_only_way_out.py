"""Prove that no other module of the product opens a connection."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
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


def uses_of_clients(path: Path) -> set[str]:
    """Every way a file could open a connection by itself.

    Importing a client to name its types and errors is no way out; calling anything
    of it, or taking a name out of it, may be one.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            found |= {name for name in names & CLIENTS if name != "aiohttp"}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            found |= (names | {node.module.partition(".")[0]}) & CLIENTS
        elif isinstance(node, ast.Call) and "aiohttp." in ast.unparse(node.func):
            found.add(ast.unparse(node.func))
    return found


def test_only_egress_can_open_a_connection() -> None:
    offenders = {
        str(path.relative_to(ROOT)): sorted(found)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if (found := uses_of_clients(path))
    }
    assert set(offenders) <= ALLOWED, offenders


def test_only_the_pool_makes_sockets_towards_others() -> None:
    ways = {"create_connection", "sock_connect", "open_connection"}
    # The supervisor asks its own data plane whether it is ready.
    allowed = {"poolsite/egress_pool.py", "poolsite/supervisor/serve.py"}
    offenders = {
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ways
    }
    assert offenders == allowed


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
