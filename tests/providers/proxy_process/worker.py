"""A real data process on a free port, fed by hand-written snapshot files."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil

from poolsite.config import Config, Roots
from poolsite.crypto import KeyRing, ParsedKey, Peppers, new_client_key
from poolsite.destinations import origin_of
from poolsite.supervisor.child import spawn
from pricing.cost import PriceSpec
from providers.snapshot import codec, types
from tests.rig.ports import free_port
from usage.journal.directory import directories, try_adopt

ENCRYPTION_KEY = "3JwVnBPlvOLb1rrb6Hj7Kn0gCPyi1WcC1KJM1ZS5m1A="
ROOTS = Roots(
    secret_key="not-a-secret",
    encryption_keys=(ENCRYPTION_KEY,),
    peppers=("ab" * 32,),
)
UPSTREAM_KEY = "sk-upstream-good"
MODEL = "gpt-test"


class DataProcess:
    """One ``python -m providers.proxy.serve`` with a data directory of its own.

    Shapes:  ``changes`` replace fields of its configuration.
    """

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.data = directory / "var"
        self.data.mkdir(exist_ok=True)
        self.config = Config(
            data_dir=str(self.data),
            port=free_port(),
            durability="os",
            allow_private=("127.0.0.0/8",),
            **changes,
        )
        self.config.run_path.mkdir(exist_ok=True)
        self.log = directory / "data.log"
        self.keys: list[ParsedKey] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    # Configuration

    def write_snapshot(self, base_url: str, *, keys: int = 2) -> None:
        """Publish version 1: one provider, one model, some client keys."""
        self.keys = [new_client_key() for _ in range(keys)]
        records = [
            (types.SETTINGS, "-", types.SettingsRecord(drain_s=1.0)),
            (types.PROVIDER, "1", _provider(base_url)),
            (types.MODEL, "1", _model()),
            *((types.CLIENT_KEY, key.public_id, _client_key(key)) for key in self.keys),
        ]
        head = types.Header(types.SCHEMA, 1, 0, time.time(), {})
        ref = codec.write_base(self.config.snapshot_path, head, records)
        manifest = codec.Manifest(types.SCHEMA, 1, ref, made_at_s=time.time())
        codec.publish(self.config.snapshot_path, manifest)

    def revoke(self, key: ParsedKey) -> None:
        """Publish a delta in which a client key is gone."""
        self._publish_delta(types.CLIENT_KEY, key.public_id, None)

    def set_drain(self, seconds: float) -> None:
        """Publish a delta with another time to drain."""
        settings = types.SettingsRecord(drain_s=seconds)
        self._publish_delta(types.SETTINGS, "-", settings)

    def _publish_delta(
        self, kind: str, name: str, record: msgspec.Struct | None
    ) -> None:
        directory = self.config.snapshot_path
        before = codec.read_manifest(directory)
        assert before is not None
        version = before.version + 1
        head = types.Header(types.SCHEMA, version, before.version, time.time(), {})
        ref = codec.write_delta(directory, head, [(kind, name, record)])
        codec.publish(
            directory,
            codec.Manifest(types.SCHEMA, version, before.base, (*before.deltas, ref)),
        )

    # Process

    def start(self, *, within_s: float = 15) -> float:
        """Start it and wait for the port to answer. Units: returns seconds."""
        started = time.monotonic()
        with open(self.log, "ab") as log, _stdio(log.fileno()):
            self._process = spawn(
                ("-m", "providers.proxy.serve", "--role", "data"), self.config, ROOTS
            )
        self.wait_status("/healthz", 200, within_s=within_s)
        return time.monotonic() - started

    @property
    def main(self) -> psutil.Process:
        """The granian main."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def workers(self) -> list[psutil.Process]:
        """The forked workers."""
        found: list[psutil.Process] = self.main.children()
        return found

    def terminate(self) -> None:
        """Send SIGTERM to the main."""
        self.main.send_signal(signal.SIGTERM)

    def wait(self, *, within_s: float) -> int:
        """Wait for the main's end and return its status."""
        assert self._process is not None
        return self._process.wait(within_s)

    def kill(self) -> None:
        """End everything at once."""
        if self._process is None or self._process.poll() is not None:
            return
        workers = self.workers()
        self._process.kill()
        self._process.wait(5)
        wait_gone(workers)

    def bury_the_dead(self) -> None:
        """Do what the keeper does: take what a killed worker left, and say so."""
        for directory in directories(self.config.journal_path):
            held = try_adopt(directory)
            if held is not None:
                held.delete()
        news = msgspec.json.encode({"windows": [], "at_s": time.time()})
        (self.config.run_path / "spend.json").write_bytes(news)

    # Asking

    def connection(self, timeout: float = 10) -> http.client.HTTPConnection:
        """Return a connection to the port."""
        return http.client.HTTPConnection(
            "127.0.0.1", self.config.port, timeout=timeout
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        key: ParsedKey | None = None,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers in lower case, body."""
        sent = dict(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key.key.reveal()}"
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        with contextlib.closing(self.connection()) as link:
            link.request(method, path, body=data, headers=sent)
            answer = link.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()

    def chat(
        self, key: ParsedKey, *, model: str = MODEL, **more: object
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one chat request."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.ask("POST", "/v1/chat/completions", key=key, body=body)

    def status(self, path: str) -> int:
        """Return a status, 0 when nobody answers."""
        try:
            return self.ask("GET", path)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def wait_status(self, path: str, status: int, *, within_s: float) -> None:
        """Wait for a status. Errors: TimeoutError with the log."""
        end = time.monotonic() + within_s
        while self.status(path) != status:
            if time.monotonic() > end:
                raise TimeoutError(self.log.read_text())
            time.sleep(0.02)


def wait_gone(processes: list[psutil.Process], within_s: float = 5) -> bool:
    """Wait until processes have ended, reaped or not; tell whether they did."""
    end = time.monotonic() + within_s
    while any(_is_alive(process) for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextlib.contextmanager
def _stdio(descriptor: int) -> Any:
    """Let a child inherit a file as its standard output and error."""
    kept = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)


def _provider(base_url: str) -> types.ProviderRecord:
    origin = origin_of(base_url)
    context = "api_key:1:secret"
    sealed = KeyRing(ROOTS.encryption_keys).seal(
        UPSTREAM_KEY, context=context, origin=origin
    )
    credential = types.CredentialRecord(
        id=1,
        kind="api_key",
        label="",
        mask="sk-…good",
        token=sealed.token,
        context=context,
        origin=origin,
    )
    return types.ProviderRecord(
        id=1,
        slug="up",
        name="Up",
        format="openai",
        base_url=base_url,
        origin=origin,
        location="local",
        priority=50,
        credentials=(credential,),
        allow_private=True,
    )


def _model() -> types.ModelRecord:
    price = PriceSpec(input=1_000_000_000, output=2_000_000_000)
    return types.ModelRecord(1, 1, MODEL, price, 1, "manual")


def _client_key(key: ParsedKey) -> types.ClientKeyRecord:
    pepper_id, digest = Peppers(ROOTS.peppers).digest(key.key)
    return types.ClientKeyRecord(
        id=int.from_bytes(key.public_id.encode()[:4]),
        public_id=key.public_id,
        digest=digest,
        pepper_id=pepper_id,
        name="test",
    )
