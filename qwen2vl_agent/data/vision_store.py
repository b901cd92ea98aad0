"""Pictures and videos in object storage: a folder, S3 and what speaks its protocol, or anything else of fsspec.

Credentials come from where each storage's own tools look for them (for S3: `AWS_*` variables, profiles, roles;
`AWS_ENDPOINT_URL_S3` names another server) and never from an address or a setting.
"""

import asyncio
import hashlib
import itertools
import random
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from qwen2vl_agent.schema.errors import ConfigError, MediaError
from qwen2vl_agent.trajectory.frames import write_whole

EXTRAS = {"s3": "'qwen2vl-agent[s3]'", "s3a": "'qwen2vl-agent[s3]'", "oss": "ossfs", "gs": "gcsfs", "az": "adlfs"}
"""What to install for a protocol."""
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError)
"""Errors that another attempt would not mend."""
LASTING_NAMES = {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound"}
"""The same, of libraries that are imported only where they are needed."""
LARGE = 2**20
"""Bytes beyond which a digest is computed beside the loop that fetches."""
SLOWEST_BYTES_S = 250_000
"""What a connection must carry: a large object has so much more time."""
Item = tuple[str, str | None]
"""A name and, where it is known, the SHA-256 of the bytes."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSettings:
    """How patient a store is, and how greedy."""

    concurrency: int = 32
    """Objects that are fetched at the same time."""
    attempts: int = 6
    """Of each object, before it is reported as failed."""
    timeout_s: float = 30.0
    """Of one attempt, over a network, until the object is there."""
    hedge_s: float = 2.0
    """After which an object is asked for a second time beside the first; the earlier answer counts. So one slow server
    among many holds nothing up. Source: hedged requests, The Tail at Scale, CACM 2013."""
    backoff_s: float = 0.1
    """Longest wait before the second attempt; it doubles with each. The wait itself is drawn from 0 to that."""
    max_backoff_s: float = 10.0
    """Where the doubling ends."""
    ahead: int = 256
    """Objects that are kept, fetched or on their way, until someone asks for them."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "timeout_s", "hedge_s", "backoff_s", "max_backoff_s", "ahead"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    def wait_s(self, failed: int, draw: Callable[[float, float], float]) -> float:
        """The wait after so many failed attempts. Source: "full jitter", Exponential Backoff and Jitter, AWS 2015."""
        return draw(0.0, min(self.max_backoff_s, self.backoff_s * 2 ** (failed - 1)))


class VisionStore:
    """A folder of objects, by name. Safe to share between threads; another process connects anew."""

    def __init__(self, url: str | Path, settings: FetchSettings | None = None) -> None:
        """`url` is a path, or an address such as s3://bucket/folder.

        Raises:
            ConfigError: no storage of that kind, its driver is not installed, or the address has a password in it.
        """
        self.url = str(url).rstrip("/") or "/"
        self.settings = settings or FetchSettings()
        self.failed: dict[str, str] = {}
        """Objects that could not be had, and why."""
        self.retries = 0
        """Attempts that failed and were made again."""
        self._files, self._root = _open(self.url, self.settings)
        self._lock = threading.Lock()
        self._ahead: OrderedDict[Item, Future[bytes]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._slots = asyncio.Semaphore(self.settings.concurrency)

    def get(self, name: str, sha256: str | None = None) -> bytes:
        """An object's bytes, waited for where they are on their way.

        Raises:
            MediaError: it is missing, forbidden, has other bytes than `sha256` says, or all attempts failed.
        """
        with self._lock:
            coming = self._ahead.pop((name, sha256), None)
        return self._fetch(name, sha256) if coming is None else coming.result()

    def prefetch(self, items: Iterable[Item]) -> None:
        """Begins to fetch objects that will be asked for soon."""
        for item in items:
            with self._lock:
                if item in self._ahead:
                    continue
                self._ahead[item] = self._submit(item)
                dropped = self._ahead.popitem(last=False)[1] if len(self._ahead) > self.settings.ahead else None
            if dropped is not None:
                dropped.cancel()

    def fetch_many(self, items: Iterable[Item]) -> Iterator[tuple[str, bytes | MediaError]]:
        """Each object once and in order, or the error that it failed with; many are on their way at a time."""
        waiting: deque[tuple[str, Future[bytes]]] = deque()
        try:
            for item in items:
                waiting.append((item[0], self._submit(item)))
                if len(waiting) >= self.settings.ahead:
                    yield _outcome(*waiting.popleft())
            while waiting:
                yield _outcome(*waiting.popleft())
        finally:
            for _, future in waiting:  # nobody takes them any more
                future.cancel()

    def put(self, data: bytes, ending: str) -> tuple[str, str]:
        """Keeps bytes under a name made of their SHA-256; the same bytes are kept once. Name and SHA-256.

        Raises:
            MediaError: they could not be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:2]}/{digest}.{ending}"
        self._patiently(name, lambda path: self._write(path, data))
        return name, digest

    @property
    def remote(self) -> bool:
        """Whether objects come over a network, so that fetching ahead pays."""
        return not _is_local(self._files)

    def local_path(self, name: str) -> Path | None:
        """Where an object lies on this machine; None: elsewhere."""
        return Path(self._path(name)) if _is_local(self._files) else None

    def close(self) -> None:
        """Ends what is on its way. The store can be used again."""
        with self._lock:
            pool, self._pool = self._pool, None
            for future in self._ahead.values():
                future.cancel()
            self._ahead.clear()
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return VisionStore, (self.url, self.settings)

    def _submit(self, item: Item) -> "Future[bytes]":
        """An object on its way: as a task of the driver's own loop, or in a thread where the driver has none."""
        if self._files.async_impl:
            return asyncio.run_coroutine_threadsafe(self._fetch_among(*item), self._files.loop)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="vision-store")
        return self._pool.submit(self._fetch, *item)

    def _fetch(self, name: str, sha256: str | None) -> bytes:
        if self._files.async_impl:
            return self._submit((name, sha256)).result()
        return self._patiently(name, lambda path: _checked(self._read(path), sha256))

    def _patiently(self, name: str, act: Callable[[str], T]) -> T:
        """What `act` gives for an object's path, in as many attempts as it takes."""
        path, began = self._path(name), time.monotonic()
        for attempt in itertools.count(1):
            try:
                return act(path)
            except Exception as error:  # drivers raise whatever their network library raises
                wait_s = self._wait_s(name, error, attempt, began)
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    async def _fetch_among(self, name: str, sha256: str | None) -> bytes:
        """As `_patiently`, for one of many: waiting takes no thread."""
        path = self._path(name)
        async with self._slots:
            began = time.monotonic()
            for attempt in itertools.count(1):
                try:
                    data = await self._earlier(path)
                    return (
                        _checked(data, sha256) if len(data) < LARGE else await asyncio.to_thread(_checked, data, sha256)
                    )
                except Exception as error:
                    wait_s = self._wait_s(name, error, attempt, began)
                await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _wait_s(self, name: str, error: Exception, attempt: int, began: float) -> float:
        """How long to wait after a failed attempt.

        Raises:
            MediaError: another one would not help, or was the last.
        """
        if attempt == self.settings.attempts or _lasts(error):
            raise self._failure(name, error, attempt, time.monotonic() - began) from error
        with self._lock:
            self.retries += 1
        return self.settings.wait_s(attempt, random.uniform)

    def _failure(self, name: str, error: Exception, attempts: int, seconds: float) -> MediaError:
        reason = "no such object" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        told = f"{reason} (after {attempts} attempts in {seconds:.1f} s)" if attempts > 1 else reason
        with self._lock:
            self.failed[name] = told
        return MediaError(f"{self.url}/{name} cannot be had: {told}")

    def _read(self, path: str) -> bytes:
        return self._files.cat_file(path)

    async def _earlier(self, path: str) -> bytes:
        """An object's bytes; of two requests for it the one that ends first counts."""
        settings, waiting = self.settings, {asyncio.create_task(self._files._cat_file(path))}
        try:
            done, _ = await asyncio.wait(waiting, timeout=min(settings.hedge_s, settings.timeout_s))
            if not done and settings.hedge_s < settings.timeout_s:
                waiting.add(asyncio.create_task(self._files._cat_file(path)))
                left_s = settings.timeout_s - settings.hedge_s
                done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError(f"no answer within {settings.timeout_s:g} s")
            return min(done, key=lambda task: task.exception() is not None).result()
        finally:
            for task in waiting:
                task.cancel()

    def _write(self, path: str, data: bytes) -> None:
        if _is_local(self._files):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if not Path(path).is_file() or Path(path).stat().st_size != len(data):
                write_whole(Path(path), data)
            return
        if not self._files.async_impl:
            self._files.pipe_file(path, data)
            return
        from fsspec.asyn import sync

        limit_s = self.settings.timeout_s + len(data) / SLOWEST_BYTES_S
        sync(self._files.loop, self._files._pipe_file, path, data, timeout=limit_s)

    def _path(self, name: str) -> str:
        """The address of what a name stands for.

        Raises:
            MediaError: the name leads out of the store.
        """
        steps = re.split(r"[/\\]", name)
        if not name or name.startswith(("/", "\\")) or ".." in steps or "://" in name or "\0" in name:
            raise MediaError(f"{name!r} is no name of an object in {self.url}; expected a path below it")
        return f"{self._root}/{name}"


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video in a vision store, fetched when it is decoded and not before."""

    store: VisionStore = field(repr=False)
    name: str
    sha256: str | None = None
    """Of its bytes, where it is known."""

    def read(self) -> bytes | Path:
        """Its path where it lies on this machine, or its bytes, checked."""
        return self.store.local_path(self.name) or self.store.get(self.name, self.sha256)

    def digest(self) -> str:
        """The SHA-256 of its bytes."""
        if self.sha256 is not None:
            return self.sha256
        path = self.store.local_path(self.name)
        if path is None or not path.is_file():
            return _fetched_digest(self.store, self.name)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(data: bytes, sha256: str | None) -> bytes:
    """Refuses bytes that are not those that were asked for.

    Raises:
        _Different: they are not the bytes with that SHA-256.
    """
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise _Different(f"{len(data)} bytes with the SHA-256 {found[:12]}…; expected {sha256[:12]}…")
    return data


class _Different(Exception):
    """The bytes that came are not those that were stored."""


@lru_cache(maxsize=1024)
def _fetched_digest(store: VisionStore, name: str) -> str:
    """The SHA-256 of an object, fetched for it once."""
    return hashlib.sha256(store.get(name)).hexdigest()


def _open(url: str, settings: FetchSettings) -> tuple[Any, str]:
    """The file system behind an address, and the path of the store's folder in it."""
    import fsspec

    protocol, _, rest = url.partition("://") if "://" in url else ("file", "", url)
    if "@" in rest.partition("/")[0]:
        raise ConfigError(
            f"the {protocol} address has a user or password in it; use the usual environment or a profile"
        )
    try:
        files = fsspec.filesystem(protocol, **_options(protocol, settings))
    except ImportError as error:
        needed = EXTRAS.get(protocol, f"the fsspec driver of {protocol}://")
        raise ConfigError(f"{url} needs a driver: pip install {needed}") from error
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from error
    if hasattr(files, "retries"):
        files.retries = 1  # retries are made here, once, and counted
    return files, str(files._strip_protocol(url)).rstrip("/")


def _options(protocol: str, settings: FetchSettings) -> dict[str, Any]:
    if protocol not in ("s3", "s3a"):
        return {}
    network = {
        "retries": {"total_max_attempts": 1},
        "max_pool_connections": settings.concurrency,
        "connect_timeout": settings.timeout_s,
        "read_timeout": settings.timeout_s,
    }
    from aiobotocore.session import AioSession

    session = AioSession()
    # Dates stay text: nobody here asks for them, and to parse one took a tenth of a small object's time.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    # Many small objects: whole ones in one request each, where s3fs would first ask for the size.
    one_request = {"max_concurrency": 1, "skip_instance_cache": True, "use_listings_cache": False}
    return {"config_kwargs": network, "session": session, **one_request}


def _is_local(files: Any) -> bool:
    protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
    return protocol in ("file", "local")


def _lasts(error: Exception) -> bool:
    return isinstance(error, LASTING) or type(error).__name__ in LASTING_NAMES


def _outcome(name: str, future: "Future[bytes]") -> tuple[str, bytes | MediaError]:
    try:
        return name, future.result()
    except MediaError as error:
        return name, error
