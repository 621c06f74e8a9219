"""Hold the product's configuration as plain data, free of Django.

``poolsite.env`` reads the environment once in the supervisor and in Django
processes; children that must not import Django receive this struct as JSON.
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment decides, already parsed.

    Units: ports as integers, ages in seconds.
    """

    data_dir: str = "./var"
    database_url: str = ""
    redis_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    public_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    admin_email: str = ""
    admin_password_file: str = ""
    email_url: str = ""
    durability: str = "group"
    limits: str = "exact"
    allow_private: tuple[str, ...] = ()
    cloud_metadata: tuple[str, ...] = ()
    snapshot_max_age_s: int = 0
    cli_providers: bool = False
    catalogue_refresh: bool = True
    plane: str = "all"
    debug: bool = False

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        return Path(self.data_dir).expanduser().absolute()

    @property
    def run_path(self) -> Path:
        """Sockets and pid files of this node's processes."""
        return self.data_path / "run"

    @property
    def console_socket(self) -> Path:
        """The Unix socket the door relays console paths to."""
        return self.run_path / "console.sock"

    @property
    def keeper_socket(self) -> Path:
        """The Unix socket on which the keeper serves token refreshes."""
        return self.run_path / "keeper.sock"

    @property
    def snapshot_path(self) -> Path:
        """Snapshot files, deltas and their manifest."""
        return self.data_path / "snapshot"

    @property
    def journal_path(self) -> Path:
        """One directory below it for each data worker."""
        return self.data_path / "journal"

    @property
    def effective_public_url(self) -> str:
        """The URL people use; the bound address when none is set."""
        if self.public_url:
            return self.public_url.rstrip("/")
        return f"http://{self.own_address}"

    @property
    def own_address(self) -> str:
        """How this machine reaches the proxy: ``host:port``, IPv6 in brackets."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}:{self.port}"


class Roots(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets everything else derives trust from; newest first.

    Shapes: encryption_keys are Fernet keys, peppers are 32 bytes in hex.
    """

    secret_key: str
    encryption_keys: tuple[str, ...]
    peppers: tuple[str, ...]

    def __repr__(self) -> str:
        return "Roots(hidden)"
