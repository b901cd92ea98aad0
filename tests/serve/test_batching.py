"""Answers written together are those of each request alone; what happens to one is nobody else's matter."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from qwen2vl_agent.model.generate_many import ContinuousBatch
from qwen2vl_agent.serve.chat_request import ChatRequest, read_request
from qwen2vl_agent.serve.engine import Cancelled, Engine, Limits

TEXTS = ("Open the clock.", "What is here?", "Add the contact Ida Voss with the number 12345.", "Go home, then back.")


def wanted(text: str, length: int = 24) -> ChatRequest:
    return read_request({"messages": [{"role": "user", "content": text}], "max_tokens": length})


def said(engine: Engine, request: ChatRequest, cancelled: threading.Event | None = None, on_text=lambda _: None):
    return engine.answer(request, on_text, cancelled or threading.Event()).result.token_ids


@pytest.fixture
def together(loaded, monkeypatch):
    """An engine, and how many sequences each pass had."""
    sizes, advance = [], ContinuousBatch.advance

    def counted(batch):
        sizes.append(len(batch))
        return advance(batch)

    monkeypatch.setattr(ContinuousBatch, "advance", counted)
    return Engine(*loaded, "tiny", Limits(parallel=4)), sizes


def test_each_answer_is_that_of_the_request_alone(loaded, together):
    engine, sizes = together
    alone = [said(Engine(*loaded, "tiny"), wanted(text)) for text in TEXTS]
    assert set(sizes) == {1}
    sizes.clear()
    with ThreadPoolExecutor(4) as clients:
        assert list(clients.map(lambda text: said(engine, wanted(text)), TEXTS)) == alone
    assert max(sizes) > 1
    with ThreadPoolExecutor(4) as clients:  # from what was read before
        assert list(clients.map(lambda text: said(engine, wanted(text)), TEXTS)) == alone


def test_one_that_is_given_up_leaves_the_others_alone(loaded, together, monkeypatch):
    engine, _ = together
    monkeypatch.setattr(loaded[0], "config", replace(loaded[0].config, eos_token_ids=()))  # no answer ends by itself
    expected = said(engine, wanted(TEXTS[1]))
    begun, cancelled = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as clients:
        endless = replace(wanted(TEXTS[0], 20_000), temperature=2.0)
        given_up = clients.submit(said, engine, endless, cancelled, lambda _: begun.set())
        assert begun.wait(60)
        assert clients.submit(said, engine, wanted(TEXTS[1])).result() == expected
        cancelled.set()
        with pytest.raises(Cancelled):
            given_up.result(60)


def test_a_pass_that_fails_is_told_to_all_and_the_next_one_works(loaded, together, monkeypatch):
    engine, _ = together
    expected = said(engine, wanted(TEXTS[1]))
    with monkeypatch.context() as broken:
        broken.setattr(loaded[0].language_model.norm, "forward", _fail)
        with ThreadPoolExecutor(2) as clients:
            failed = [clients.submit(said, engine, wanted(text)) for text in TEXTS[:2]]
            for future in failed:
                with pytest.raises(torch.OutOfMemoryError):
                    future.result(60)
    assert said(engine, wanted(TEXTS[1])) == expected


def test_a_cache_serves_one_sequence_at_a_time(together):
    engine, _ = together
    with ThreadPoolExecutor(4) as clients:
        same = [clients.submit(said, engine, wanted(TEXTS[2])) for _ in range(8)]
    assert len({tuple(future.result()) for future in same}) == 1


def _fail(*_):
    raise torch.OutOfMemoryError("no memory is left")
