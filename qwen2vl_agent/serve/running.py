"""Running an ASGI application: at a place that is known before it begins, in the foreground or beside other work."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qwen2vl_agent.schema.errors import ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.serve.patience import Patience


def require_extra() -> None:
    """Looks for the packages that serve.

    Raises:
        ConfigError: they are not installed.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"serving needs more packages ({error}); pip install 'qwen2vl-agent[serve]'") from error


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket at `host` and `port`; 0 takes a free one.

    Raises:
        ConfigError: the place is taken, or is none of this machine's.
    """
    name = host.strip("[]")
    try:
        listening = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((name, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {host} --port {port} cannot be used: {error}") from error
    return listening


def run_in_foreground(app: Any, listening: socket.socket) -> None:
    """Serve until Ctrl-C."""
    _server(app).run(sockets=[listening])


@contextmanager
def running(app: Any, listening: socket.socket, patience: "Patience | None" = None) -> Iterator[str]:
    """Serve in a thread; its address."""
    server = _server(app, patience)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="server")
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield address(listening)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()


def address(listening: socket.socket) -> str:
    """`http://127.0.0.1:8000`."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(app: Any, patience: "Patience | None" = None) -> Any:
    import uvicorn

    from qwen2vl_agent.serve.patience import Patience, patient_protocol

    patience = patience or Patience()
    config = uvicorn.Config(
        app,
        http=patient_protocol(patience),
        ws="none",
        limit_concurrency=patience.max_connections,
        timeout_keep_alive=patience.idle_s,
        h11_max_incomplete_event_size=patience.max_head_bytes,
        log_level="error",  # warnings are about requests that are none, as often as a stranger likes
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    return uvicorn.Server(config)
