"""Who may talk to a server on this machine: requests meant for it, from its own pages or from no page at all.

A page of another site, open in the same browser, can send requests to this machine. It cannot choose their `Host` (a
name that it has pointed at this machine is not one of ours) nor leave out their `Origin`.
"""

import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from qwen2vl_agent.schema.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
SHORTEST = 16
"""Characters of a token; what is shorter could be guessed."""


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


def fetch_allowed(site: str | None, mode: str | None) -> bool:
    """Whether a browser says that a request comes from our own page, from its address bar, or from a link.

    A picture or script that another page asks for has no `Origin`; and a page of another port of this machine counts
    as the same site, whose requests bring a `SameSite` cookie along. Source: W3C, Fetch Metadata Request Headers.
    """
    return site in (None, "same-origin", "none") or mode == "navigate"


def refusal(header: Callable[[str], str | None], bound: str, port: int) -> str | None:
    """Why a request is refused, by its headers; None where it is not."""
    host = header("host")
    if not host_allowed(host, bound, port):
        return f"this server answers to {bound}:{port}, not to {str(host)[:100]!r}"
    allowed = fetch_allowed(header("sec-fetch-site"), header("sec-fetch-mode"))
    if not (allowed and origin_allowed(header("origin"), host)):
        return "a page of another site may not use this server"
    return None


def new_token() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(24)


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigError: others may read the file, it cannot be read, or what it holds can be guessed or is no token.
    """
    try:
        others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if others and os.name == "posix":
            raise ConfigError(f"--token-file {path}: others than its owner may read it; run: chmod 600 {path}")
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: it cannot be read ({type(error).__name__})") from None
    if not re.fullmatch(r"[!-~]+", token) or len(token) < SHORTEST:
        raise ConfigError(f"--token-file {path}: expected {SHORTEST} or more letters, digits and signs on one line")
    return token


def token_right(given: str | None, token: str) -> bool:
    """Compares in a time that tells nothing."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
