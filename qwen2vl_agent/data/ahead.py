"""Takes batches one ahead, on a thread of its own, and puts them on the device: a GPU waits for neither."""

import queue
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch

AHEAD = 2
"""Batches that are kept ready."""


class Ahead:
    """The same batches as `loader` gives, on `device`."""

    def __init__(self, loader: Any, device: torch.device | str) -> None:
        self.mixture = loader.mixture
        self.waited_s = 0.0
        """Seconds that `next` waited for a batch, in all."""
        self.position: int = loader.position
        """Of the first example that no batch given out holds."""
        self._loader = loader
        self._device = device
        self._ready: queue.Queue[Any] = queue.Queue(AHEAD)
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def seek(self, position: int) -> None:
        """Go on from `position`; whatever was prepared is dropped."""
        self._stop()
        self._loader.seek(position)
        self.position = position

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)
            self._thread.start()
        began = time.perf_counter()
        batch = self._ready.get()
        self.waited_s += time.perf_counter() - began
        if isinstance(batch, Exception):
            self._thread = None
            raise batch
        self.position = batch.position
        return batch

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                batch = next(self._loader).to(self._device)
            except Exception as error:
                self._ready.put(error)
                return
            self._ready.put(batch)

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._over.set()
        while thread.is_alive():
            self._drain()
            thread.join(timeout=0.1)
        self._drain()

    def _drain(self) -> None:
        while not self._ready.empty():
            self._ready.get_nowait()

    def __enter__(self) -> "Ahead":
        self._loader.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        self._loader.__exit__(kind, error, at)
