"""What ``pool serve`` refuses, and how it brings children back."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import msgspec
import pytest

from poolsite import roots
from poolsite.clock import ManualClock
from poolsite.config import Config, Roots
from poolsite.supervisor import child, options
from poolsite.supervisor.child import Child, Spec
from poolsite.supervisor.options import OptionsError
from poolsite.supervisor.preparing import Prepared
from poolsite.supervisor.serve import _block, specs

SECRETS = Roots(secret_key="s" * 40, encryption_keys=("k",), peppers=("p" * 32,))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=str(tmp_path))


# Options


def test_several_workers_need_redis_or_the_word_approximate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(OptionsError, match="REDIS_URL"):
        options.read(["--workers", "2"])
    monkeypatch.setenv("POOL_LIMITS", "approximate")
    assert options.read(["--workers", "2"]).config.workers == 2
    monkeypatch.setenv("POOL_LIMITS", "exact")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert options.read(["--workers", "2"]).config.workers == 2


@pytest.mark.parametrize(
    ("host", "is_warned"),
    [
        ("127.0.0.1", False),
        ("localhost", False),
        ("::1", False),
        ("0.0.0.0", True),
        ("192.168.1.5", True),
        ("pool.internal", True),
    ],
)
def test_plain_http_beyond_this_machine_is_warned_about(
    host: str, is_warned: bool
) -> None:
    assert bool(options.read(["--host", host]).warnings) is is_warned


def test_https_public_url_needs_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_PUBLIC_URL", "https://pool.example")
    assert not options.read(["--host", "0.0.0.0"]).warnings


def test_command_line_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POOL_PORT", "9000")
    assert options.read([]).config.port == 9000
    assert options.read(["--port", "9001"]).config.port == 9001


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["data", "console", "keeper", "worker"]),
        (["--no-worker"], ["data", "console", "keeper"]),
        (["--plane", "proxy"], ["data", "keeper"]),
        (["--plane", "console"], ["console", "keeper", "worker"]),
    ],
)
def test_plane_decides_the_children(arguments: list[str], names: list[str]) -> None:
    chosen = options.read(arguments)
    assert [spec.name for spec in specs(chosen, "")] == names


def test_locked_product_has_a_console_on_the_port_and_nothing_else() -> None:
    (only,) = specs(options.read(["--port", "9001"]), "the key is lost")
    assert only.name == "console"
    assert only.arguments[-4:] == ("--port", "9001", "--locked", "the key is lost")


def test_start_up_block_says_where_to_go_and_how_to_stop() -> None:
    chosen = options.read(["--port", "9001"])
    first = _block(chosen, Prepared(setup_token="t0ken"))
    assert "Console:  http://127.0.0.1:9001/setup/?token=t0ken\n" in first
    assert "API base: http://127.0.0.1:9001\n" in first
    assert chosen.config.data_dir in first
    assert "Ctrl-C" in first
    assert "/setup/" not in _block(chosen, Prepared())


# Children


def _child(config: Config, clock: ManualClock, code: str) -> Child:
    spec = Spec(name="test", arguments=("-c", code))
    return Child(spec, config=config, secrets=SECRETS, clock=clock)


def _run_to_its_end(one: Child) -> int:
    while (status := one.reap()) is None:
        pass
    return status


def test_dying_child_starts_again_after_growing_pauses(config: Config) -> None:
    clock = ManualClock()
    one = _child(config, clock, "raise SystemExit(3)")
    one.start()
    for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        assert _run_to_its_end(one) == 3
        clock.advance(pause - 0.01)
        assert not one.start_if_due()
        clock.advance(0.02)
        assert one.start_if_due()
    one.stop(signal.SIGKILL)
    _run_to_its_end(one)


def test_pause_is_short_again_after_a_long_life(config: Config) -> None:
    clock = ManualClock()
    one = _child(config, clock, "pass")
    one.start()
    for _ in range(4):
        _run_to_its_end(one)
        clock.advance(5.0)
        one.start_if_due()
    clock.advance(60.0)
    _run_to_its_end(one)
    clock.advance(0.21)
    assert one.start_if_due()
    one.stop()
    _run_to_its_end(one)


def test_stopped_child_stays_away(config: Config) -> None:
    clock = ManualClock()
    one = _child(config, clock, "import time; time.sleep(60)")
    one.start()
    one.stop()
    assert _run_to_its_end(one) == -signal.SIGTERM
    clock.advance(60)
    assert not one.start_if_due()


def test_roots_reach_a_child_through_a_pipe_and_not_its_environment(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOL_SECRET_KEY", "never-in-a-child")
    code = (
        "import os, sys, msgspec\n"
        "from pathlib import Path\n"
        "from poolsite import roots\n"
        "from poolsite.config import Config\n"
        "fd = int(os.environ['POOL_CONFIG_FD'])\n"
        "config = msgspec.json.decode(os.fdopen(fd, 'rb').read(), type=Config)\n"
        "found = roots.load(Path(config.data_dir), may_create=False)\n"
        "leaked = 'never-in-a-child' in str(os.environ)\n"
        "sys.exit(found.peppers != ('p' * 32,) or leaked)\n"
    )
    process = child.spawn(["-c", code], config, SECRETS)
    assert process.wait(20) == 0


def test_signal_waits_until_a_child_listens(config: Config) -> None:
    code = (
        "import signal, sys, time\n"
        "from poolsite.supervisor.child import let_signals_in\n"
        "time.sleep(0.5)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "let_signals_in()\n"
        "time.sleep(60)\n"
    )
    process = child.spawn(["-c", code], config, SECRETS, blocked=child.ENDING)
    process.terminate()
    assert process.wait(20) == 7


def test_child_ends_when_its_parent_is_killed(config: Config) -> None:
    code = (
        "import os, signal, sys, msgspec\n"
        "from poolsite.config import Config, Roots\n"
        "from poolsite.supervisor.child import spawn\n"
        "roots = Roots(secret_key='s', encryption_keys=('k',), peppers=('p',))\n"
        "one = spawn(['-c', 'import time; time.sleep(60)'], Config(), roots)\n"
        "print(one.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=child.BASE_DIR, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    stat = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(2_000_000):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
    pytest.fail("the grandchild lives on")


def test_locked_roots_are_a_usable_shape() -> None:
    from poolsite.crypto import KeyRing, Peppers
    from poolsite.supervisor.preparing import locked_roots

    made = locked_roots()
    KeyRing(made.encryption_keys)
    Peppers(made.peppers)
    assert "hidden" in repr(made)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Roots) == made
    assert roots.PIPE_VARIABLE == "POOL_ROOTS_FD"
