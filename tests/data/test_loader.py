"""Batches come in one order, whatever the number of workers, and from any place on."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training_doubles import Broken, Copying, LetterProcessor

from qwen2vl_agent.data import worker
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.data.packing import Batch
from qwen2vl_agent.data.worker import Job
from qwen2vl_agent.schema.errors import MediaError

MIXTURE = Mixture(((Copying("a"), 1), (Copying("b", columns=6), 1)), seed=3)


def loader(workers: int = 0, **options) -> Loader:
    return Loader(MIXTURE, LetterProcessor(), 120, workers=workers, chunk=3, **options)


def same(one: Batch, other: Batch) -> bool:
    tensors = [(one.inputs.input_ids, other.inputs.input_ids), (one.labels, other.labels)]
    tensors += [(one.inputs.pixel_values, other.inputs.pixel_values), (one.targets.source, other.targets.source)]
    return one.position == other.position and all(torch.equal(a, b) for a, b in tensors)


def test_the_order_is_independent_of_the_number_of_workers():
    with loader() as plain, loader(1) as one, loader(3) as three:
        for _ in range(12):
            batch = next(plain)
            assert same(batch, next(one))
            assert same(batch, next(three))


def test_a_batch_is_filled_up_to_the_budget_and_not_beyond():
    lengths = []
    for batch in itertools.islice(loader(), 20):
        assert batch.num_tokens <= 120
        lengths.append(batch.num_tokens)
    assert sum(lengths) / len(lengths) > 105


def test_an_example_longer_than_the_budget_stands_alone():
    assert [batch.num_examples for batch in itertools.islice(Loader(MIXTURE, LetterProcessor(), 5), 4)] == [1] * 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_from_any_position_as_if_it_had_never_stopped(workers):
    whole = list(itertools.islice(loader(), 6))
    with loader(workers, start=whole[2].position) as resumed:
        assert all(same(batch, next(resumed)) for batch in whole[3:])
        resumed.seek(whole[0].position)
        assert resumed.position == whole[0].position
        assert same(whole[1], next(resumed))


def test_pixels_come_in_the_type_asked_for():
    batch = next(loader(pixel_dtype=torch.bfloat16))
    assert batch.inputs.pixel_values.dtype is torch.bfloat16


@pytest.mark.parametrize("workers", [0, 1])
def test_an_example_that_cannot_be_read_says_which_it_is(workers):
    broken = Loader(Mixture(((Broken(good=5), 1),)), LetterProcessor(), 30, workers=workers, chunk=2)
    with broken, pytest.raises(MediaError, match="the picture is torn") as caught:
        list(itertools.islice(broken, 20))
    if workers:
        assert "example 5 of source 'broken'" in str(caught.value)


def test_a_worker_that_is_killed_is_noticed():
    with loader(1) as watched:
        next(watched)
        os.kill(watched._workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="died"):
            list(itertools.islice(watched, 100))


def test_closing_leaves_no_worker_behind():
    with loader(2) as opened:
        next(opened)
        pids = [worker.process.pid for worker in opened._workers]
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def test_workers_of_a_killed_program_end_by_themselves():
    script = """
from training_doubles import loader
opened = loader(workers=2)
next(opened)
print(*[worker.process.pid for worker in opened._workers], flush=True)
import time; time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert len(pids) == 2
        program.kill()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] != "Z"


def test_a_worker_tells_sources_what_it_will_ask_for_next():
    told = []

    class Far(Copying):
        def prepare(self, index: int) -> None:
            told.append(index)

    mixture = Mixture(((Far("far"), 1),))
    job = Job(mixture, LetterProcessor(), 6, 3, 6, torch.float32)
    assert len(worker._chunk(job, 6)) == 3
    assert told == [6, 7, 8, 12, 13, 14]  # its present chunk, and the one after those of the other worker
