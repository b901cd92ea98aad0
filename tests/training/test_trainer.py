"""The loop: it learns, it resumes bit for bit, and it stops when told to."""

import os
import signal
from dataclasses import dataclass, replace

import pytest
import torch
from PIL import Image
from rich.console import Console
from training_doubles import SMALL, Copying, LetterProcessor, loader, small_model

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.training.checkpoint import STATE_FILE, Checkpoints
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.step import train_step
from qwen2vl_agent.training.trainer import INTERRUPTED_STATUS, Trainer

CONFIG = TrainConfig(steps=8, warmup_steps=2, lr=3e-3, dtype="float32", log_every=2, checkpoint_every_steps=4)


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_overfits_one_batch(dtype):
    model, batch = small_model(), next(loader(budget=150))
    config = TrainConfig(steps=1, lr=1e-2, dtype=dtype, weight_decay=0.0)
    optimizer = make_optimizer(model, config)
    for _ in range(120):
        result = train_step(model, optimizer, [batch], config)
    assert sum(result.losses.values()) / sum(result.targets.values()) < 0.1


def test_accumulated_rows_step_as_one_row_with_all_their_targets():
    """Rows of unequal numbers of targets: a mean of means would differ."""
    config = TrainConfig(steps=1, dtype="float32")
    small, large = next(loader(budget=20)), next(loader(budget=140))
    whole = next(loader(budget=1))
    assert whole.num_examples == 1
    one, two = small_model(), small_model()
    together = train_step(one, make_optimizer(one, config), [small, large], config)
    total = sum(together.targets.values())
    apart = [train_step(two, torch.optim.SGD(two.parameters(), lr=0.0), [batch], config) for batch in (small, large)]
    assert total == sum(sum(result.targets.values()) for result in apart)
    assert sum(together.losses.values()) == pytest.approx(sum(sum(r.losses.values()) for r in apart), rel=1e-5)


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    whole = small_model()
    Trainer(CONFIG, whole, loader(), tmp_path / "whole").fit()
    first = Trainer(replace(CONFIG, max_seconds=0.0), small_model(), loader(), tmp_path / "parts")
    for _ in range(5):
        first._one_step(_Window())
    first.save()
    other = small_model(seed=99)
    second = Trainer(CONFIG, other, loader(start=12345), tmp_path / "parts", resume=True)
    assert second.progress.step == 5
    finished = second.fit()
    assert finished.reason == "done"
    assert_same(weights(whole), weights(other))
    ends = [read_metrics(tmp_path / name / METRICS_FILE)[-1] for name in ("whole", "parts")]
    for name in ("step", "tokens", "position", "lr", "loss", "grad_norm"):
        assert ends[0][name] == ends[1][name], name


def test_the_average_is_resumed_and_exported(tmp_path):
    config = replace(CONFIG, ema_decay=0.5)
    Trainer(config, small_model(), loader(), tmp_path / "whole").fit()
    first = Trainer(config, small_model(), loader(), tmp_path / "parts")
    for _ in range(3):
        first._one_step(_Window())
    first.save()
    model = small_model()
    Trainer(config, model, loader(), tmp_path / "parts", resume=True).fit()
    ends = [Qwen2VL.from_pretrained(tmp_path / name / "model", dtype="float32") for name in ("whole", "parts")]
    assert_same(weights(ends[0]), weights(ends[1]))
    assert not torch.equal(ends[1].lm_head.weight, model.lm_head.weight)


def test_metrics_tell_the_loss_of_every_source(tmp_path):
    Trainer(CONFIG, small_model(), loader(), tmp_path).fit()
    lines = read_metrics(tmp_path / METRICS_FILE)
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    for line in lines:
        assert set(line["losses"]) == {"a", "b"}
        mean = sum(line["losses"][name] * line["targets"][name] for name in "ab") / sum(line["targets"].values())
        assert line["loss"] == pytest.approx(mean)
        assert line["tokens_per_s"] > 0


def test_a_run_without_a_terminal_prints_plain_lines(tmp_path):
    with (tmp_path / "said").open("w") as file:
        console = Console(file=file, force_terminal=False, width=80)
        Trainer(CONFIG, small_model(), loader(), tmp_path / "run", console=console).fit()
    said = (tmp_path / "said").read_text()
    assert "step 8 loss" in said
    assert "\x1b" not in said


def test_a_time_limit_stops_the_run_to_be_resumed(tmp_path):
    finished = Trainer(replace(CONFIG, max_seconds=0.0), small_model(), loader(), tmp_path).fit()
    assert finished.reason == "time"
    assert not (tmp_path / "model").exists()
    assert Checkpoints(tmp_path / "checkpoints", 2).latest() is not None


def test_a_run_by_the_clock_is_done_when_its_seconds_are_spent(tmp_path):
    config = replace(CONFIG, steps=None, seconds_budget=1.5)
    ended = Trainer(config, small_model(), loader(budget=40), tmp_path).fit()
    assert ended.reason == "done"
    assert ended.progress.seconds >= 1.5
    assert (tmp_path / "model" / "config.json").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_with_130(number, tmp_path):
    class Sending(LetterProcessor):
        left = 40

        def encode(self, messages):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), number)
            return super().encode(messages)

    before = signal.getsignal(number)
    data = Loader(Mixture(((Copying("a"), 1),)), Sending(), 100)
    with pytest.raises(SystemExit) as caught:
        Trainer(replace(CONFIG, steps=1000), small_model(), data, tmp_path).fit()
    assert caught.value.code == INTERRUPTED_STATUS
    assert signal.getsignal(number) is before
    latest = Checkpoints(tmp_path / "checkpoints", 2).latest()
    resumed = Trainer(replace(CONFIG, steps=1000), small_model(), _without(data), tmp_path, resume=True)
    assert latest is not None
    assert resumed.progress.step == int(latest.name.removeprefix("step-")) > 0


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    Trainer(CONFIG, small_model(), loader(), tmp_path).fit()
    with pytest.raises(ConfigError, match="holds a run already"):
        Trainer(CONFIG, small_model(), loader(), tmp_path)


def test_other_data_and_other_trainable_parts_are_not_taken_for_the_same_run(tmp_path):
    Trainer(CONFIG, small_model(), loader(), tmp_path).fit()
    with pytest.raises(ConfigError, match="trained on"):
        Trainer(CONFIG, small_model(), loader(seed=4), tmp_path, resume=True)
    with pytest.raises(ConfigError, match="parameters"):
        Trainer(replace(CONFIG, stage="stage3"), small_model(), loader(), tmp_path, resume=True)


def test_a_damaged_state_is_named_with_what_to_do(tmp_path):
    Trainer(CONFIG, small_model(), loader(), tmp_path).fit()
    latest = Checkpoints(tmp_path / "checkpoints", 2).latest()
    assert latest is not None
    (latest / STATE_FILE).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="remove"):
        Trainer(CONFIG, small_model(), loader(), tmp_path, resume=True)


def test_a_checkpoint_is_a_model_folder_and_only_the_last_few_are_kept(tmp_path):
    model = small_model()
    config = replace(CONFIG, checkpoint_every_steps=1, keep_checkpoints=2)
    Trainer(config, model, loader(), tmp_path).fit()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000007", "step-00000008"]
    loaded = Qwen2VL.from_pretrained(tmp_path / "checkpoints" / names[-1], dtype="float32")
    assert_same(weights(model), weights(loaded))
    assert_same(weights(model), weights(Qwen2VL.from_pretrained(tmp_path / "model", dtype="float32")))


def test_with_its_processor_a_checkpoint_is_all_that_a_run_of_the_model_needs(tmp_path):
    processor = Processor(
        train_tokenizer(["abcdefgh"] * 5, 400), ImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56)
    )
    text = replace(SMALL.text, vocab_size=len(processor.tokenizer))
    model = Qwen2VL(replace(SMALL, text=text).with_tokens(processor.tokenizer.special), seed=0)
    data = Loader(Mixture(((Written(), 1),)), processor, 100, pixel_dtype=torch.bfloat16)
    Trainer(replace(CONFIG, dtype="bfloat16"), model, data, tmp_path, processor=processor).fit()
    latest = Checkpoints(tmp_path / "checkpoints", 2).latest()
    for folder in (latest, tmp_path / "model"):
        loaded, reader = Qwen2VL.from_pretrained(folder, dtype="float32"), Processor.from_pretrained(folder)
        inputs = reader([Message("user", (ImagePart(Image.new("RGB", (56, 56))), TextPart("abc")))])
        assert len(loaded.eval().generate(inputs, max_new_tokens=3).token_ids) > 0


def test_gradients_that_are_not_finite_are_thrown_away_and_too_many_end_the_run(tmp_path):
    model = small_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    before = weights(model)
    with pytest.raises(ConfigError, match="not finite"):
        Trainer(replace(CONFIG, steps=100), model, loader(), tmp_path).fit()
    for name, tensor in weights(model).items():
        assert torch.equal(tensor.nan_to_num(), before[name].nan_to_num()), name


def test_the_small_config_is_a_whole_qwen2vl():
    assert sum(parameter.numel() for parameter in Qwen2VL(SMALL).parameters()) < 200_000


@dataclass(frozen=True)
class Written:
    """Pictures of one colour, asked about in words."""

    name: str = "written"

    def example(self, index: int) -> Example:
        picture = ImagePart(Image.new("RGB", (56, 28), (index % 256, 0, 0)))
        asked = Message("user", (picture, TextPart("what")))
        return Example([asked, Message("assistant", (TextPart("abc"[index % 3 :], target=True),))], self.name)


class _Window:
    """Takes results and forgets them."""

    def add(self, result) -> None:
        """Nothing is kept."""


def _without(data: Loader) -> Loader:
    """The same data, read by a processor that sends no signals."""
    return Loader(data.mixture, LetterProcessor(), 100)
