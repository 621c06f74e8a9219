"""The programs under comparison, each started on one core with the same upstream."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.dialects import UPSTREAMS
from bench.tools import JSON_BODY, LOAD_CORE, PROXY_CORE, pin
from tests.rig.ports import free_port
from tests.rig.processes import Child
from tests.rig.product import Product

_NGINX = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream mock {{ server 127.0.0.1:{target}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 100000000;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@dataclass
class Running:
    """A gateway that answers.

    Shapes: data is the process that carries requests, beside are the others.
    """

    name: str
    root: str
    key: str = "sk-bench"
    data: list[psutil.Process] = field(default_factory=list)
    beside: dict[str, list[psutil.Process]] = field(default_factory=dict)
    product: Product | None = None


@contextmanager
def mock(directory: Path) -> Iterator[int]:
    """Run the canned upstream on the load's core."""
    port = free_port()
    command = [sys.executable, "-m", "bench.mock", "--port", str(port)]
    child = Child(command, log=directory / "mock.log", cores={LOAD_CORE})
    try:
        wait_answer(port, child)
        yield port
    finally:
        child.stop()


@contextmanager
def direct(directory: Path, target: int) -> Iterator[Running]:
    """Use no gateway at all."""
    yield Running("upstream, direct", f"http://127.0.0.1:{target}")


@contextmanager
def nginx(directory: Path, target: int) -> Iterator[Running]:
    """Run nginx with proxy_pass and upstream keep-alive."""
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(directory=directory, port=port, target=target))
    command = ["nginx", "-c", str(config), "-p", str(directory)]
    env = {"PATH": "/usr/sbin:/usr/bin:/bin"}
    with on_proxy_core(command, directory, port, env) as child:
        yield Running(
            "nginx proxy_pass", f"http://127.0.0.1:{port}", data=family(child.pid)
        )


@contextmanager
def relay(directory: Path, target: int) -> Iterator[Running]:
    """Run the bare relay, the floor."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asginl"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--no-ws", "--log-level", "warning", "--loop", "uvloop"]
    command += ["--runtime-mode", "mt"]
    command += ["bench.relay:app"]
    env = {"BENCH_TARGET": f"http://127.0.0.1:{target}"}
    with on_proxy_core(command, directory, port, env) as child:
        yield Running(
            "bare relay (floor)", f"http://127.0.0.1:{port}", data=family(child.pid)
        )


@contextmanager
def provider_pool(directory: Path, target: int) -> Iterator[Running]:
    """Run the product with everything on: key, limits, budget, journal, prices.

    It holds 100 providers and 1,000 keys beside the one that is used.

    The data process gets the proxy's core; console, keeper and worker share the load's
    core, where their processor time is measured.
    """
    with Product(directory) as product:
        base_url = f"http://127.0.0.1:{target}/v1"
        product.add_provider("mock", base_url=base_url, models=["bench"])
        product.set_price("bench", input_usd="1", output_usd="2")
        for dialect, version in UPSTREAMS.items():
            product.add_provider(
                dialect,
                base_url=f"http://127.0.0.1:{target}{version}",
                models=[f"bench-{dialect}"],
                api_format=dialect,
            )
            product.set_price(f"bench-{dialect}", input_usd="1", output_usd="2")
        limits = ["--rpm", "100000000", "--tpm", "1000000000000"]
        limits += ["--concurrency", "4000"]
        budget = ["--budget-usd", "1000000", "--window", "month"]
        key = product.create_key("bench", *limits, *budget)
        product.bulk("providers", 100)
        product.bulk("keys", 1_000)
        product.start()
        data = [product.wait_process("data", within_s=10)]
        beside = {k: product.processes(k) for k in ("keeper", "console", "worker")}
        pin(data, PROXY_CORE)
        pin([p for group in beside.values() for p in group], LOAD_CORE)
        yield Running("Provider Pool", product.root, key, data, beside, product)


def wait_answer(port: int, child: Child, *, within_s: float = 15) -> None:
    """Wait until a chat completion is answered. Errors: TimeoutError."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/v1/chat/completions", JSON_BODY)
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError(child.tail())


@contextmanager
def on_proxy_core(
    command: list[str], directory: Path, port: int, env: dict[str, str]
) -> Iterator[Child]:
    """Run a gateway on the proxy's core until it answers."""
    log = directory / "gateway.log"
    child = Child(command, log=log, env=env, cores={PROXY_CORE})
    try:
        wait_answer(port, child)
        pin(family(child.pid), PROXY_CORE)
        yield child
    finally:
        child.stop()


def family(pid: int) -> list[psutil.Process]:
    """Return the processes a gateway started, or itself when it has none."""
    parent = psutil.Process(pid)
    return [*parent.children(recursive=True)] or [parent]
