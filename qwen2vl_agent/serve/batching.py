"""One thread that writes the answers to all requests under way together, a new one from the next pass on."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from qwen2vl_agent.model.generate import GenerationResult
from qwen2vl_agent.model.generate_many import ContinuousBatch, Request

Joining = tuple[Callable[[], Request], "Future[GenerationResult]"]


class Batching:
    """A model that several threads ask at a time. All passes are made by one thread, which ends with the process."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._joining: SimpleQueue[Joining] = SimpleQueue()
        self._futures: dict[int, Future[GenerationResult]] = {}
        threading.Thread(target=self._write, daemon=True, name="passes").start()

    def answer(self, make: Callable[[], Request]) -> GenerationResult:
        """What the model writes; `make` is called by the thread that makes the passes.

        Raises:
            Exception: that of `make`, of the request's own constraint or listener, or of the model.
        """
        future: Future[GenerationResult] = Future()
        self._joining.put((make, future))
        return future.result()

    def _write(self) -> None:
        batch = ContinuousBatch(self._model)
        while True:
            self._take_in(batch)
            try:
                ended = batch.advance()
            except Exception as error:
                batch.close()
                for future in self._futures.values():
                    future.set_exception(error)
                self._futures.clear()
                continue
            for request, answer in ended:
                future = self._futures.pop(id(request))
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    def _take_in(self, batch: ContinuousBatch) -> None:
        """All that wait; where nothing is under way, the next that comes."""
        while True:
            try:
                make, future = self._joining.get(block=not batch)
            except Empty:
                return
            try:
                request = make()
                batch.add(request)
            except Exception as error:
                future.set_exception(error)
            else:
                self._futures[id(request)] = future
