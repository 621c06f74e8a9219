"""Other gateways, measured only when somebody installed them on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.gateways import Running, family, on_proxy_core
from tests.rig.ports import free_port

_LITELLM = """
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://127.0.0.1:{target}/v1
      api_key: sk-bench
"""

Starter = Callable[[Path, int], AbstractContextManager[Running]]


def installed() -> list[Starter]:
    """Return the peers found on the search path.

    Portkey's gateway takes its upstream from request headers, which the load does not
    send, so it cannot stand in this table yet and is left out.
    """
    return [litellm] if shutil.which("litellm") else []


@contextmanager
def litellm(directory: Path, target: int) -> Iterator[Running]:
    """Run LiteLLM's proxy with one worker, no key, no database."""
    port = free_port()
    config = directory / "config.yaml"
    config.write_text(_LITELLM.format(target=target))
    command = ["litellm", "--config", str(config), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1"]
    with on_proxy_core(command, directory, port, {}) as child:
        root = f"http://127.0.0.1:{port}"
        yield Running("LiteLLM (no key)", root, data=family(child.pid))
