"""The recipes of the three stages; any size and layout, on CUDA devices or CPU.

| stage | learns | from | tokens in the original |
| --- | --- | --- | --- |
| 1 | vision encoder and merger | pictures with texts, all text of them | 600e9 |
| 2 | everything | a wider mixture with pure text in it, all text of it | 800e9 more |
| 3 | the language model | instructions, the assistant's words | not told |

`lora` is stage 3 for one GPU of 24 GB: the 7B network stays in bfloat16 and thin matrices learn beside it; memory by
`train lora --dry-run 1`. It was not run on such a GPU.

The report tells no learning rates: those here are a choice.
Source: Qwen2-VL technical report §2.2.
"""

from dataclasses import dataclass
from typing import get_args

from qwen2vl_agent.data.conversations import Targets
from qwen2vl_agent.model.config import Size
from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import StageName, TrainConfig
from qwen2vl_agent.training.parallel.layout import Layout


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRecipe:
    """One stage; any field can be set from the command line."""

    stage: StageName
    targets: Targets
    """What is to be predicted: `text`, all of it, or the `assistant`'s words."""
    size: str = "tiny"
    model: str = ""
    """Checkpoint folder or hub id to begin from; empty: new weights, of the tiny size only."""
    data: str = ""
    """Files of conversations, text stores and generators, parted by commas, each with its share:
    `a.jsonl=3,stores/talk=2,synthetic:charts=1`. Of stores alone shares are of the tokens, and rows are planned by an
    index; else of the examples."""
    cutoff: str = ""
    """A date: text stores with younger content are refused, and files of conversations, which declare no dates."""
    video_cache: str = ""
    """Folder that keeps the frames of videos, so that each is decoded once."""
    dp: int = 1
    pp: int = 1
    tp: int = 1
    first_layers: int = -1
    """Decoder layers of the first pipeline stage; -1: by what they cost."""
    chunks: int = 1
    """Pipeline stages that each process holds (interleaved 1F1B); 1: plain 1F1B."""
    train_merger: bool = True
    """Whether the merger trains in a stage that trains the vision encoder."""
    rows_per_step: int = 8
    """Packed rows of an optimizer step, over all replicas."""
    batch_tokens: int = 8192
    logits_chunk: int = 8192
    """Targets whose logits exist at one time."""
    token_budget: float = 1e9
    steps: int = 0
    """0: until the token budget is spent."""
    lr: float = 1e-5
    warmup_steps: int = 100
    dtype: str = "auto"
    """Of matrix products: `bfloat16`, `float32`, or `auto`: bfloat16 unless the CPU only emulates it."""
    lora_rank: int = 0
    """Of thin matrices that learn beside the language model's, which stay (LoRA); 0: the matrices themselves learn."""
    lora_alpha: float = 32.0
    recompute: str = "selective"
    """Activations computed again in backward: `none`, `selective` or `full`."""
    reconcile_every: int = 100
    """Steps between two offline reductions of what tensor-parallel processes share."""
    on_spike: str = "tell"
    """What to do with a step whose loss is a spike: `tell` and train on it, `skip` it, or `stop`."""
    spike_factor: float = 3.0
    """A loss above so many times the median of the last 50 is a spike."""
    peak_tflops: float = 0.0
    """Of one device, in TFLOP/s, for the part of it that is used; 0: what a large product reaches at the start."""
    tensorboard: bool = False
    """Write TensorBoard's files too."""
    checkpoint_every_steps: int = 0
    """0: by the clock only, every five minutes."""
    log_every: int = 10
    keep_checkpoints: int = 2
    data_workers: int = 0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size not in get_args(Size):
            raise ConfigError(f"there is no size {self.size!r}; expected one of {', '.join(get_args(Size))}")
        if self.recompute not in ("none", "selective", "full"):
            raise ConfigError(f"recompute is {self.recompute!r}; expected none, selective or full")
        if self.dtype not in ("auto", "bfloat16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}; expected auto, bfloat16 or float32")
        if self.rows_per_step < 1 or self.reconcile_every < 1:
            raise ConfigError("rows_per_step and reconcile_every must be at least 1")
        if self.lora_rank < 0 or (self.lora_rank and self.stage != "stage3"):
            raise ConfigError(f"lora_rank is {self.lora_rank}; it is for stage3, and at least 1")

    @property
    def layout(self) -> Layout:
        """How processes are laid out."""
        first = None if self.first_layers < 0 else self.first_layers
        return Layout(dp=self.dp, pp=self.pp, tp=self.tp, first_layers=first, chunks=self.chunks)

    def train_config(self) -> TrainConfig:
        """The trainer's configuration."""
        return TrainConfig(
            stage=self.stage,
            train_merger=None if self.stage == "stage3" else self.train_merger,
            steps=self.steps or None,
            token_budget=self.token_budget,
            batch_tokens=self.batch_tokens,
            logits_chunk=self.logits_chunk,
            lr=self.lr,
            warmup_steps=self.warmup_steps,
            dtype=self.dtype,  # type: ignore[arg-type]
            device=self.device,
            seed=self.seed,
            log_every=self.log_every,
            keep_checkpoints=self.keep_checkpoints,
            checkpoint_every_steps=self.checkpoint_every_steps or None,
        )


STAGE_RECIPES: dict[str, StageRecipe] = {
    "stage1": StageRecipe(stage="stage1", targets="text", token_budget=600e9, lr=1e-4),
    "stage2": StageRecipe(stage="stage2", targets="text", token_budget=800e9, lr=5e-5),
    "stage3": StageRecipe(stage="stage3", targets="assistant", token_budget=1e9, lr=1e-5),
    "lora": StageRecipe(
        stage="stage3",
        targets="assistant",
        size="7b",
        token_budget=1e8,
        lr=1e-4,
        lora_rank=16,
        batch_tokens=4096,
        logits_chunk=1024,
        recompute="full",
        device="cuda",
    ),
}


def with_overrides(recipe: StageRecipe, overrides: dict[str, str]) -> StageRecipe:
    """The recipe with fields replaced by their text from the command line.

    Raises:
        ConfigError: no such field, or a text that is no such value.
    """
    return replaced(recipe, recipe.stage, overrides, fixed=("stage",))
