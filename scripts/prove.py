"""Run the long forms and write what they showed to docs/proof.md.

    python -m scripts.prove [--only NAME ...] [--seed N] [--short] [--no-write]
                            [--no-pytest]

Runs `pytest -m long` and every proof in scripts/proofs/. A "Done when" figure holds
when this printed it as kept. Exit 1 when anything was missed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import pkgutil
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from types import ModuleType

from bench.tools import commit, machine
from scripts import proofs
from scripts.proofs.figure import Figure, is_proof
from tests.rig.processes import ROOT

PYTEST_NOTHING_COLLECTED = 5


@dataclass
class Result:
    """What one proof showed and how long it took."""

    name: str
    purpose: str
    seconds: float
    figures: list[Figure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether every figure met its rule."""
        return all(figure.ok for figure in self.figures)


def find_proofs() -> list[ModuleType]:
    """Import every proof of the package, in order of name."""
    names = sorted(found.name for found in pkgutil.iter_modules(proofs.__path__))
    modules = [importlib.import_module(f"scripts.proofs.{name}") for name in names]
    return [module for module in modules if is_proof(module)]


def run_proof(module: ModuleType, *, seed: int, short: bool) -> Result:
    """Run one proof; a crash of the proof is a missed figure, not the end."""
    begun = time.monotonic()
    try:
        figures = module.run(seed, short=short)
    except Exception as exc:  # noqa: BLE001 - the page must tell of every failure
        traceback.print_exc()
        figures = [Figure("the proof itself", f"{exc!r}"[:300], "runs", False)]
    purpose = (module.__doc__ or "").strip().splitlines()[0]
    return Result(module.name, purpose, time.monotonic() - begun, figures)


def run_pytest() -> Result:
    """Run the tests marked long."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-m", "long", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    ok = done.returncode in (0, PYTEST_NOTHING_COLLECTED)
    if not ok:
        print(done.stdout[-4_000:], file=sys.stderr)
    figure = Figure("pytest -m long", last, "no failure", ok)
    purpose = "The tests' long forms."
    return Result("tests", purpose, time.monotonic() - begun, [figure])


def of_commits(before: str) -> str:
    """Name the commit, and the one at the end when the tree changed meanwhile."""
    after = commit()
    return before if after == before else f"{before} at the start, {after} at the end"


def section(result: Result, told: str) -> str:
    """Return what the page says of one proof.

    Shapes: told names commit, seed and date: sections may come from several runs.
    """
    lines = [
        f"{result.purpose} Took {result.seconds:.0f} s; {told}.",
        "",
        "| Figure | Value | Rule | |",
        "|---|---|---|---|",
    ]
    for figure in result.figures:
        verdict = "kept" if figure.ok else "MISSED"
        cells = (figure.name, figure.value, figure.pass_rule, verdict)
        plain = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        lines.append("| " + " | ".join(plain) + " |")
    return "\n".join(lines)


def sections_of(page: str) -> dict[str, str]:
    """Return the sections of a page by name."""
    found = {}
    for part in page.split("\n## ")[1:]:
        name, _, text = part.partition("\n")
        found[name.strip()] = text.strip()
    return found


def render(sections: dict[str, str]) -> str:
    """Return the page."""
    lines = [
        "# Proof",
        "",
        "Written by `make prove` (long forms); `python -m scripts.prove --only NAME`"
        " renews single sections.",
        "",
        f"Machine: {machine()}.",
        "",
    ]
    for name in sorted(sections):
        lines += [f"## {name}", "", sections[name], ""]
    return "\n".join(lines)


def main() -> int:
    """Read the arguments, run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m scripts.prove")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--no-pytest", action="store_true")
    arguments = parser.parse_args()
    before = commit()
    modules = find_proofs()
    if arguments.only:
        modules = [module for module in modules if module.name in arguments.only]
    results = []
    wants_tests = not arguments.only or "tests" in arguments.only
    if wants_tests and not arguments.no_pytest:
        print("proving tests ...", file=sys.stderr, flush=True)
        results.append(run_pytest())
    for module in modules:
        print(f"proving {module.name} ...", file=sys.stderr, flush=True)
        result = run_proof(module, seed=arguments.seed, short=arguments.short)
        results.append(result)
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    told = f"commit {of_commits(before)}, seed {arguments.seed}, {date}"
    made = {result.name: section(result, told) for result in results}
    print(render(made))
    if not (arguments.no_write or arguments.short):
        page = ROOT / "docs" / "proof.md"
        page.parent.mkdir(exist_ok=True)
        kept = sections_of(page.read_text()) if page.exists() else {}
        page.write_text(render({**kept, **made} if arguments.only else made))
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
