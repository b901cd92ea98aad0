"""Several episodes at once with one model: each runs in a thread of its own, and their replies are written together.

A round begins when every running episode waits for a reply, so that which texts are written together does not depend
on how fast anything is. Between rounds the episodes act on their environments.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.dialogue.constrain import Constrainer
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.constraint import Constraint
from qwen2vl_agent.model.generate import Ending, Foresight, GenerationResult
from qwen2vl_agent.model.generate_many import Request, answer_many
from qwen2vl_agent.model.sampling import Sampler
from qwen2vl_agent.model.sampling import SamplingConfig as TokenSampling
from qwen2vl_agent.model.vision_cache import VisionCache


class Rounds:
    """A model that several episodes share. What the vision encoder made of their screens is shared too."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        self._vision, self._constrainer = VisionCache(), Constrainer(processor.tokenizer)
        self._condition = threading.Condition()
        self._running = 0
        self._waiting: list[Request] = []
        self._answers: dict[int, GenerationResult | Exception] = {}
        # All passes are made by one thread: PyTorch keeps a team of threads for each that calls it.
        self._passes = ThreadPoolExecutor(max_workers=1)

    @contextmanager
    def policy(self, sampling: SamplingConfig) -> Iterator[ModelPolicy]:
        """The policy of one episode, for as long as it runs: the others wait for its replies."""
        with self._condition:
            self._running += 1
        try:
            yield ModelPolicy(self, self._processor, sampling, self._vision, self._constrainer)
        finally:
            with self._condition:
                self._running -= 1
                self._round_if_all_wait()

    def generate(self, inputs: Any, **options: Any) -> GenerationResult:
        """What `Qwen2VL.generate` gives with these options, written in the next round; at once where one runs alone.

        Raises:
            Exception: that of the text's constraint or listener; where the model itself fails, all texts of the round.
        """
        with self._condition:
            alone = self._running == 1
        if alone:
            return self._model.generate(inputs, **options)
        request = self._request(inputs, **options)
        with self._condition:
            self._waiting.append(request)
            self._round_if_all_wait()
            self._condition.wait_for(lambda: id(request) in self._answers)
            answer = self._answers.pop(id(request))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _request(
        self,
        inputs: Any,
        *,
        max_new_tokens: int,
        seed: int,
        stop: Sequence[Sequence[int]],
        cache: Cache,
        on_token: Callable[[int], None] | None,
        constraint: Constraint | None,
        draft_tokens: int,
        never: Sequence[int] = (),
        **sampling: Any,
    ) -> Request:
        ending = Ending(
            max_new_tokens=max_new_tokens,
            eos_token_ids=self._model.config.eos_token_ids,
            stop=tuple(map(tuple, stop)),
        )
        sampler = Sampler(TokenSampling(**sampling), seed, never)
        foresight = Foresight(constraint=constraint, draft_tokens=draft_tokens)
        return Request(
            inputs=inputs, ending=ending, sampler=sampler, cache=cache, on_token=on_token, foresight=foresight
        )

    def _round_if_all_wait(self) -> None:
        """Write all texts, once the last episode has come to wait; who finds that so does it for all."""
        if not self._waiting or len(self._waiting) < self._running:
            return
        requests, self._waiting = self._waiting, []
        try:
            answers = self._passes.submit(answer_many, self._model, requests).result()
        except Exception as error:
            answers = [error] * len(requests)
        self._answers.update({id(request): answer for request, answer in zip(requests, answers, strict=True)})
        self._condition.notify_all()
