"""`qwen2vl-agent quantize`: a checkpoint with smaller weights, for machines without a GPU."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Write a checkpoint with weights of 8 or 4 bits, which decodes faster on a CPU.

    int8 changes next to nothing; int4 is smaller still and loses more. With recorded episodes (--calibrate) the
    channels that matter are rounded more finely. On a processor without VNNI instructions int8 keeps 7 of its bits.

    Examples:
      qwen2vl-agent quantize Qwen2-VL-2B-Instruct --to int4 --out Qwen2-VL-2B-int4
      qwen2vl-agent quantize Qwen2-VL-2B-Instruct --to int4 --calibrate runs/collected --out Qwen2-VL-2B-int4
    """

    model: tyro.conf.Positional[str]
    """folder or hub id of a checkpoint that is not quantised"""
    to: Literal["int8", "int4"]
    """bits of a weight of the language model"""
    out: Path
    """folder to write; it is used like any other checkpoint"""
    vision: bool = False
    """8 bits for the vision encoder too"""
    calibrate: Path | None = None
    """recorded episodes to find by which channels matter"""
    examples: int = 16
    """episodes of --calibrate to read"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Rounds and writes."""
        import torch

        from qwen2vl_agent.dialogue.processor import Processor
        from qwen2vl_agent.model.precision import fast_dtype
        from qwen2vl_agent.model.quantize import quantize
        from qwen2vl_agent.model.quantized import check_kernels
        from qwen2vl_agent.model.qwen2vl import Qwen2VL

        check_kernels(self.to)
        name, console = resolve(self.model), output.console(self.json)
        if self.out.exists() and any(self.out.iterdir()):
            raise ConfigError(f"{self.out} is not empty; give a new folder")
        dtype = torch.bfloat16 if self.calibrate is None else fast_dtype("cpu")
        model, processor = Qwen2VL.from_pretrained(name, dtype).eval(), Processor.from_pretrained(name)
        if self.calibrate is not None:
            from qwen2vl_agent.model.calibrate import scale_channels

            with console.status("reading episodes and finding scales"):
                scale_channels(model, self._episodes(self.calibrate, processor), self.to)
        with console.status("rounding"):
            quantize(model, self.to, self.vision).save_pretrained(self.out, "bfloat16")
            processor.save_pretrained(self.out)
        size = sum(file.stat().st_size for file in self.out.glob("*.safetensors"))
        console.print(f"{size / 1e6:.1f} MB; use it with --model {self.out}", markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"out": str(self.out), "bytes": size, "to": self.to, "vision": self.vision})
        return 0

    def _episodes(self, folder: Path, processor: Any) -> Iterator[Any]:
        from qwen2vl_agent.data.examples import EpisodeSource

        source = EpisodeSource.below(folder, outcomes=("success", "unverified"))
        for index in range(min(at_least_one("--examples", self.examples), len(source.folders))):
            yield source.example(index).encode(processor).inputs
