"""All that fixes a training run besides its model and its data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from qwen2vl_agent.model.precision import fast_dtype
from qwen2vl_agent.schema.errors import ConfigError

StageName = Literal["stage1", "stage2", "stage3"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One run of the trainer. The three stages are three of these."""

    stage: StageName = "stage2"
    """Which parts train unless `trainable` says otherwise (`stages.py`)."""
    train_merger: bool | None = None
    """Whether the merger trains with its stage; None for the stage's own default (on, on, off)."""
    trainable: tuple[str, ...] | None = None
    """Prefixes of the parameters that train, in place of the stage's; `("",)` is everything.

    A model made from scratch has no language model to keep, so its recipe trains everything from stage 1 on."""
    steps: int | None = None
    """Optimizer steps of the run. It ends when steps or tokens are spent, whichever comes first."""
    token_budget: float | None = None
    """Tokens of the run, visual ones included."""
    seconds_budget: float | None = None
    """Seconds of training, over all sittings: the rate falls with the clock, and the run is done after so many."""
    batch_tokens: int = 8192
    """Tokens of a packed row, visual ones included; the recipe hands it to the loader."""
    accumulate: int = 1
    """Packed rows of one optimizer step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` moves the matrices inside the network by Muon and the rest by AdamW (`muon.py`)."""
    lr: float = 1e-3
    """Learning rate after the warm-up."""
    min_lr_ratio: float = 0.1
    """The cosine ends at this part of `lr`."""
    warmup_steps: int = 100
    lr_factors: tuple[tuple[str, float], ...] = ()
    """Prefixes of parameters whose learning rate is multiplied, for example `(("visual.", 0.1),)`; the first fits."""
    weight_decay: float = 0.1
    """Of matrices only: not of norms, biases and embeddings."""
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    clip_norm: float = 1.0
    """Largest norm of the gradient over all parameters."""
    ema_decay: float | None = None
    """Keep a moving average of the weights and export it in the end, for example 0.999."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """What matrix products are computed in; weights and optimizer stay float32. `auto` becomes bfloat16, or float32 on
    a CPU that only emulates it."""
    device: str = "cpu"
    threads: int | None = None
    """Threads of a matrix product on CPU; None for torch's own choice, one for each core."""
    seed: int = 0
    logits_chunk: int = 8192
    """Targets whose logits exist at one time."""
    log_every: int = 10
    """Steps of one line of metrics."""
    checkpoint_every_s: float = 300.0
    checkpoint_every_steps: int | None = None
    keep_checkpoints: int = 2
    max_seconds: float | None = None
    """Save and stop after this long, to be resumed."""

    def __post_init__(self) -> None:
        if self.dtype == "auto":
            object.__setattr__(self, "dtype", str(fast_dtype(self.device)).removeprefix("torch."))
        if self.steps is None and self.token_budget is None and self.seconds_budget is None:
            raise ConfigError("a run needs an end: give steps, token_budget or seconds_budget")
        for name in ("batch_tokens", "accumulate", "log_every", "keep_checkpoints", "lr", "clip_norm", "logits_chunk"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.min_lr_ratio <= 1:
            raise ConfigError(f"min_lr_ratio is {self.min_lr_ratio}; it must lie in 0..1")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ConfigError(f"ema_decay is {self.ema_decay}; it must lie between 0 and 1")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, to stand beside every checkpoint."""
        return asdict(self)

    def spent(self, step: int, tokens: float, seconds: float = 0.0) -> float:
        """How much of the run is over after `step` steps, `tokens` tokens and `seconds` of training, 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_tokens = tokens / self.token_budget if self.token_budget else 0.0
        by_clock = seconds / self.seconds_budget if self.seconds_budget else 0.0
        return min(1.0, max(by_steps, by_tokens, by_clock))
