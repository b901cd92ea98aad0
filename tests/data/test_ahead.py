"""Batches taken ahead are the loader's own, in its order, and nothing is lost when a run stops in between."""

from dataclasses import dataclass, replace

import pytest

from qwen2vl_agent.data.ahead import Ahead


@dataclass
class Numbered:
    position: int
    device: str = "cpu"

    def to(self, device):
        return replace(self, device=device)


class Counting:
    """A loader whose n-th batch ends at position n."""

    mixture = "the mixture"

    def __init__(self, fails_at=None):
        self.position, self.fails_at, self.open = 0, fails_at, False

    def seek(self, position):
        self.position = position

    def __next__(self):
        if self.position == self.fails_at:
            raise RuntimeError("worker 3 died")
        self.position += 1
        return Numbered(self.position)

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *_):
        self.open = False


def test_batches_come_in_order_on_the_device_with_the_position_of_those_given_out():
    loader = Counting()
    with Ahead(loader, "elsewhere") as ahead:
        for number in range(1, 20):
            batch = next(ahead)
            assert (batch.position, batch.device, ahead.position) == (number, "elsewhere", number)
        assert loader.open
    assert not loader.open


def test_a_run_that_goes_on_elsewhere_drops_what_was_prepared():
    with Ahead(Counting(), "cpu") as ahead:
        next(ahead)
        ahead.seek(7)
        assert ahead.position == 7
        assert next(ahead).position == 8


def test_an_error_of_the_loader_reaches_the_trainer():
    with Ahead(Counting(fails_at=2), "cpu") as ahead:
        assert [next(ahead).position for _ in range(2)] == [1, 2]
        with pytest.raises(RuntimeError, match="worker 3 died"):
            next(ahead)


def test_it_closes_while_batches_wait():
    with Ahead(Counting(), "cpu") as ahead:
        next(ahead)
    assert ahead._thread is None
