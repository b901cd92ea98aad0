"""`qwen2vl-agent init`: a Qwen2-VL to train, from a language model and a vision tower."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError

SHARD_BYTES = 2 * 10**9
"""Of a file of weights: what is held in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Build a Qwen2-VL to train from a Qwen2 and a CLIP, as the original began.

    The language model is taken as it is, with rows for the new tokens. Of the CLIP (open_clip's layout, for example
    DFN5B-CLIP-ViT-H-14) the blocks are taken; the patch convolution is inflated to two frames; class token, positions
    and ln_pre go, since 2D-RoPE takes their part; ln_post becomes the merger's norm. The merger's layers are random:
    stage 1 of the training is what comes next.

    Examples:
      qwen2vl-agent init --llm Qwen2-1.5B --vision DFN5B-CLIP-ViT-H-14/open_clip_pytorch_model.bin --out start-2b
    """

    llm: str
    """folder or hub id of a Qwen2 checkpoint"""
    vision: Path
    """file of a CLIP's weights, .safetensors, .bin or .pt"""
    out: Path
    """folder to write"""
    vision_heads: int | None = None
    """attention heads of the vision tower, where its width and open_clip_config.json do not tell"""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """type of the weights written"""
    seed: int = 0
    """of what is drawn: the merger, and noise in new tokens' rows"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Reads both, joins them and writes."""
        if self.out.exists() and any(self.out.iterdir()):
            raise ConfigError(f"{self.out} is not empty; give a new folder")
        from qwen2vl_agent.dialogue.processor import Processor
        from qwen2vl_agent.model.assemble import assemble

        console = output.console(self.json)
        with console.status("reading"):
            made = assemble(self.llm, self.vision, self.vision_heads, self.seed)
        with console.status("writing"):
            made.model.save_pretrained(self.out, self.dtype, max_shard_size=SHARD_BYTES)
            Processor(made.tokenizer).save_pretrained(self.out)
        parameters = sum(parameter.numel() for parameter in made.model.parameters())
        for note in made.notes:
            console.print(f"  {note}", markup=False, soft_wrap=True)
        told = f"{parameters / 1e9:.2f} B parameters; train it next, it does not know how to see yet: {self.out}"
        console.print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"out": str(self.out), "parameters": parameters, "notes": list(made.notes)})
        return 0
