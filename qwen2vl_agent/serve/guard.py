"""Who may talk to a server on this machine: requests meant for it, from its own pages or from no page at all.

A page of another site, open in the same browser, can send requests to this machine. It cannot choose their `Host` (a
name that it has pointed at this machine is not one of ours) nor leave out their `Origin`.
"""

import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def is_loopback(host: str) -> bool:
    """Whether a server that listens at `host` can be reached from this machine only."""
    return host in LOOPBACK


def host_allowed(header: str | None, bound: str, port: int) -> bool:
    """Whether a request's `Host` names the server that listens at `bound`.

    A server that is open to the network is known by names that it cannot know of; there its token is what protects it.
    """
    if not is_loopback(bound):
        return bool(header)
    return header in {f"{name}:{port}" for name in LOOPBACK} | ({*LOOPBACK} if port == 80 else set())


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether a request comes from one of the server's own pages, or from a program, which sends no `Origin`."""
    return origin is None or (host is not None and urlsplit(origin).netloc == host)


def refusal(header: Callable[[str], str | None], bound: str, port: int) -> str | None:
    """Why a request is refused, by its headers; None where it is not."""
    host = header("host")
    if not host_allowed(host, bound, port):
        return f"this server answers to {bound}:{port}, not to {str(host)[:100]!r}"
    if not origin_allowed(header("origin"), host):
        return "a page of another site may not use this server"
    return None


def new_token() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(24)


def token_right(given: str | None, token: str) -> bool:
    """Compares in a time that tells nothing."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
