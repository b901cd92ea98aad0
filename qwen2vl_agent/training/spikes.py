"""Steps that go wrong: a loss or gradient that is not finite, or a loss far above the usual."""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from qwen2vl_agent.schema.errors import ConfigError

OnSpike = Literal["tell", "skip", "stop"]
REMEMBERED = 50
"""Steps of which the usual loss is the median."""
LEAST = 10
"""Before so many steps nothing is usual."""
Trouble = Literal["loss not finite", "loss spike", "gradient not finite"]


@dataclass(slots=True)
class SpikeWatch:
    """Tells which steps went wrong. The same on every process, since all know the whole job's loss."""

    factor: float = 3.0
    """A loss above so many times the usual is a spike."""
    on_spike: OnSpike = "tell"
    """`tell` trains on it, `skip` throws its gradient away, `stop` ends the run. What is not finite never counts."""
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def __post_init__(self) -> None:
        if self.factor <= 1:
            raise ConfigError(f"spike_factor is {self.factor}; it must be above 1")
        if self.on_spike not in ("tell", "skip", "stop"):
            raise ConfigError(f"on_spike is {self.on_spike!r}; expected tell, skip or stop")

    @property
    def usual(self) -> float:
        """The median of the last losses; infinity while there are too few."""
        return median(self.recent) if len(self.recent) >= LEAST else math.inf

    def judge(self, loss: float) -> Trouble | None:
        """What is wrong with a step of this mean loss. One that is usual is remembered."""
        if not math.isfinite(loss):
            return "loss not finite"
        spike = loss > self.factor * self.usual
        self.recent.append(loss)  # a spike too: a new level of the loss becomes usual after half of the memory
        return "loss spike" if spike else None

    def skips(self, trouble: Trouble | None) -> bool:
        """Whether the step's gradient is to be thrown away."""
        return trouble == "loss not finite" or (trouble == "loss spike" and self.on_spike != "tell")
