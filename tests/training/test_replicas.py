"""Replicas: together they are one process with all the data, and none of them outlives or outwaits the others."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_doubles import Copying, LetterProcessor, mixture, small_model

from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture, Share
from qwen2vl_agent.data.packing import Batch, pack
from qwen2vl_agent.data.worker import encode_row
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.checkpoint import Checkpoints, load_state
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.parallel.replicas import Replicas, _group, run_replicas
from qwen2vl_agent.training.shared_muon import share_out
from qwen2vl_agent.training.step import train_step
from qwen2vl_agent.training.trainer import INTERRUPTED_STATUS, Trainer

CONFIG = TrainConfig(
    steps=6,
    optimizer="muon",
    lr=3e-3,
    min_lr_ratio=1.0,  # so that a run's course does not depend on its length
    warmup_steps=1,
    ema_decay=0.5,
    dtype="float32",
    threads=1,
    log_every=1,
    checkpoint_every_steps=2,
)
BUDGET = 60
SOON_S = 60.0
"""Far more than the seconds that the end of a job takes, far less than the minutes for which a lost one is awaited."""


# What runs in the replicas: importable functions, since the processes are spawned.


def batch_of(rank: int) -> Batch:
    """Pictures for the first, text alone for the second, and unequal numbers of targets."""
    positions = ((1, 2, 4, 5), (0, 3, 6))[rank]
    source = Mixture(((Copying("a"), 1),))
    return pack([encode_row(source, LetterProcessor(), position, torch.float32) for position in positions])


def step_thrice(folder: Path, replicas: Replicas | None) -> None:
    """Plain gradient descent, so that the weights show the gradients themselves."""
    torch.set_num_threads(1)
    model, config = small_model(), TrainConfig(steps=3, dtype="float32", clip_norm=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [batch_of(0), batch_of(1)] if replicas is None else [batch_of(replicas.rank)]
    results = [train_step(model, optimizer, batches, config, replicas) for _ in range(3)]
    state = {"weights": model.state_dict(), "norms": [result.grad_norm for result in results]}
    torch.save(state, folder / f"{replicas.rank if replicas else 'alone'}.pt")


def muon_steps(folder: Path, replicas: Replicas | None) -> None:
    """Muon on gradients that are the same in every process."""
    torch.set_num_threads(1)
    model, config = small_model(), TrainConfig(steps=3, optimizer="muon", lr=1e-2)
    optimizer = make_optimizer(model, config, replicas)
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    torch.save(model.state_dict(), folder / f"muon-{replicas.rank if replicas else 'alone'}.pt")


def share_of(replicas: Replicas | None) -> Mixture | Share:
    return mixture() if replicas is None else Share(mixture(), replicas.rank, replicas.count)


def fit(out: Path, config: TrainConfig, resume: bool, processors: tuple[Any, ...], replicas: Replicas | None) -> None:
    """A run of the trainer; `processors` are those of each rank."""
    rank = replicas.rank if replicas else 0
    data = Loader(share_of(replicas), processors[rank], BUDGET)
    model = small_model(seed=7 if resume else 0)
    Trainer(config, model, data, out, resume=resume, replicas=replicas).fit()


@dataclass
class Signalling(LetterProcessor):
    """Sends its own process a signal in the middle of a run."""

    number: int
    left: int = 30

    def encode(self, messages):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return super().encode(messages)


class NeverArriving:
    """An argument at whose unpickling the process ends."""

    def __reduce__(self):
        return os._exit, (3,)


def do_nothing(_: Any, replicas: Replicas | None) -> None:
    """Work that is done at once."""


def leave_the_other_alone(folder: Path, replicas: Replicas) -> None:
    """The first process dies, the second waits for it."""
    if replicas.rank == 1:
        (folder / "draft").write_text(str(os.getpid()))
        (folder / "draft").rename(folder / "pid")
    replicas.wait()
    if replicas.rank == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replicas.wait()


def note_rank(found: list[Any], replicas: Replicas | None) -> None:
    found.append(replicas)


PLAIN = (LetterProcessor(), LetterProcessor())


def test_shares_are_disjoint_and_together_the_whole_mixture():
    whole = mixture(seed=3)
    shares = [Share(whole, rank, 3) for rank in range(3)]
    drawn = [shares[position % 3].pick(position // 3) for position in range(300)]
    assert [(source.name, index) for source, index in drawn] == [
        (source.name, index) for source, index in map(whole.pick, range(300))
    ]
    assert len({(source.name, index) for source, index in drawn}) == 300
    assert shares[1].example(4) == whole.example(13)


def test_a_share_tells_among_how_many_it_is_shared():
    whole = mixture()
    assert Share(whole, 0, 2).describe() == Share(whole, 1, 2).describe()
    assert Share(whole, 0, 2).describe() != Share(whole, 0, 3).describe() != whole.describe()


def test_one_process_alone_starts_no_other():
    found: list[Any] = []
    run_replicas(1, note_rank, found)
    assert found == [None]


def test_a_group_of_one_changes_nothing_but_missing_gradients(tmp_path):
    moved, still = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    moved.grad = torch.arange(6.0).reshape(2, 3)
    with _group(str(tmp_path / "store"), 0, 1) as replicas:
        assert replicas.add(1.5, 2) == [1.5, 2.0]
        assert replicas.gather({"position": 7}) == [{"position": 7}]
        replicas.add_gradients([moved, still])
        replicas.wait()
    assert torch.equal(moved.grad, torch.arange(6.0).reshape(2, 3))
    assert torch.equal(still.grad, torch.zeros(2, 3))
    assert not torch.distributed.is_initialized()


@pytest.mark.multiprocess
def test_two_with_half_of_the_data_step_as_one_with_all_of_it(tmp_path):
    assert batch_of(1).inputs.pixel_values is None
    assert len(batch_of(0).targets.ids) != len(batch_of(1).targets.ids)
    run_replicas(1, step_thrice, tmp_path)
    run_replicas(2, step_thrice, tmp_path)
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("alone", "0", "1"))
    begun = small_model().state_dict()
    for name, tensor in alone["weights"].items():
        torch.testing.assert_close(first["weights"][name], tensor, atol=1e-6, rtol=0, msg=name)
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    assert sum(not torch.equal(tensor, begun[name]) for name, tensor in alone["weights"].items()) > 30
    assert first["norms"] == second["norms"] == pytest.approx(alone["norms"], rel=1e-4)


@pytest.mark.multiprocess
def test_muon_shared_by_two_moves_the_weights_as_torch_s_own_does_alone(tmp_path):
    run_replicas(2, muon_steps, tmp_path)
    muon_steps(tmp_path, None)
    first, second, alone = (torch.load(tmp_path / f"muon-{name}.pt") for name in ("0", "1", "alone"))
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=1e-6, atol=1e-7)


def test_matrices_are_shared_out_by_what_they_cost():
    shapes = [torch.Size(shape) for shape in ((2, 2), (4, 1), (4, 1), (1, 1))]
    assert share_out(shapes, 2) == [0, 1, 1, 0]
    assert share_out(shapes, 1) == [0, 0, 0, 0]


@pytest.mark.multiprocess
def test_a_resumed_run_of_two_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    run_replicas(2, fit, tmp_path / "whole", CONFIG, False, PLAIN)
    run_replicas(2, fit, tmp_path / "parts", replace(CONFIG, steps=3), False, PLAIN)
    run_replicas(2, fit, tmp_path / "parts", CONFIG, True, PLAIN)
    whole, parts = (load_state(latest(tmp_path / name)) for name in ("whole", "parts"))
    assert_same(whole["average"], parts["average"])
    for one, other in zip(whole["optimizer"]["parts"], parts["optimizer"]["parts"], strict=True):
        for number, values in one["state"].items():
            assert_same(values, other["state"][number])
    shares = [Loader(Share(mixture(), rank, 2), LetterProcessor(), BUDGET) for rank in range(2)]
    tokens = sum(next(share).num_tokens for _ in range(CONFIG.steps) for share in shares)
    for name, state in (("whole", whole), ("parts", parts)):
        assert state["positions"] == [share.position for share in shares]
        assert state["progress"]["step"] == CONFIG.steps
        assert state["progress"]["tokens"] == tokens
        assert [line["step"] for line in read_metrics(tmp_path / name / METRICS_FILE)] == [1, 2, 3, 4, 5, 6]
        assert (tmp_path / name / "model" / "config.json").is_file()
    weights = [(latest(tmp_path / name) / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    with pytest.raises(ConfigError, match="replicas"):
        fit(tmp_path / "whole", CONFIG, True, PLAIN, None)


@pytest.mark.multiprocess
def test_a_signal_to_one_stops_and_saves_both(tmp_path):
    processors = (LetterProcessor(), Signalling(signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        run_replicas(2, fit, tmp_path, replace(CONFIG, steps=1000), False, processors)
    assert caught.value.code == INTERRUPTED_STATUS
    state = load_state(latest(tmp_path))
    assert 0 < state["progress"]["step"] < 1000
    assert len(state["positions"]) == 2


@pytest.mark.multiprocess
def test_a_killed_replica_ends_the_job_with_an_error_and_it_can_be_resumed(tmp_path):
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"(?i)connection|peer"):
        run_replicas(2, fit, tmp_path, CONFIG, False, (LetterProcessor(), Signalling(signal.SIGKILL, left=18)))
    assert time.monotonic() - began < SOON_S
    reached = load_state(latest(tmp_path))["progress"]["step"]
    assert 0 < reached < CONFIG.steps
    run_replicas(2, fit, tmp_path, CONFIG, True, PLAIN)
    assert load_state(latest(tmp_path))["progress"]["step"] == CONFIG.steps


@pytest.mark.multiprocess
def test_a_replica_that_dies_before_it_begins_ends_the_job_with_an_error():
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"replica-1 died as it began \(exit status 3\)"):
        run_replicas(2, do_nothing, NeverArriving())
    assert time.monotonic() - began < SOON_S


@pytest.mark.multiprocess
def test_the_others_end_with_the_first(tmp_path):
    script = f"""
from pathlib import Path
from test_replicas import leave_the_other_alone, run_replicas
run_replicas(2, leave_the_other_alone, Path({str(tmp_path)!r}))
"""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))}
    subprocess.run([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL, timeout=300, check=False)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + SOON_S
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def latest(out: Path) -> Path:
    found = Checkpoints(out / "checkpoints", 2).latest()
    assert found is not None
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.split()[2] != "Z"
