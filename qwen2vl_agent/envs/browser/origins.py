"""Where an agent may go: origins, as browsers tell them apart."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from qwen2vl_agent.schema.errors import ConfigError

SCHEMES = ("http", "https", "file")
USUAL_PORTS = {"http": 80, "https": 443}
INNER = ("about", "blob", "data", "javascript")
"""Schemes of pages that come from nowhere else."""


def origin_of(url: str) -> str:
    """`https://host:port` of a URL, the port left out where it is the usual one; `file://` of a file's.

    Raises:
        ConfigError: it is no URL of a page.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme == "file":
        return "file://"
    if scheme not in SCHEMES or not parts.hostname:
        raise ConfigError(f"{url!r} is no address of a page; expected https://…, http://… or file://…")
    try:
        port = parts.port
    except ValueError:
        raise ConfigError(f"{url!r} has no such port") from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}" + (f":{port}" if port and port != USUAL_PORTS[scheme] else "")


def may_go(url: str, allowed: Iterable[str]) -> bool:
    """Whether a page at `url` may be shown, given the allowed origins; `*` allows every one."""
    if urlsplit(url).scheme in INNER:
        return True
    allowed = tuple(allowed)
    try:
        return "*" in allowed or origin_of(url) in allowed
    except ConfigError:
        return False


def allowed_origins(start: str, named: Iterable[str]) -> tuple[str, ...]:
    """The start page's origin, and those named besides.

    Raises:
        ConfigError: one of them is none.
    """
    others = [name if name == "*" else origin_of(name) for name in named]
    return tuple(dict.fromkeys([origin_of(start), *others]))
