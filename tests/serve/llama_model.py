"""A small Qwen2-VL of random weights with the published vocabulary, as GGUF files made by llama.cpp's converter."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from qwen_vocabulary import qwen2_folder

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import Tokenizer


class GGUF(NamedTuple):
    """A model's two files."""

    language: Path
    vision: Path


def random_checkpoint(folder: Path) -> None:
    """A checkpoint in the published layout: two layers each, heads of 32."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_pretrained(qwen2_folder())
    text = TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=128,
        mrope_section=(4, 6, 6),
    )
    vision = VisionConfig(depth=4, embed_dim=64, num_heads=2)
    config = Qwen2VLConfig(text=text, vision=vision, tie_word_embeddings=True, dtype="float32")
    model = Qwen2VL(config.with_tokens(tokenizer.special))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(folder)
    Processor(tokenizer, ImageProcessor(min_pixels=56 * 56, max_pixels=224 * 448)).save_pretrained(folder)


def random_gguf(llama_cpp: Path, folder: Path) -> GGUF:
    """The files of a random model; `llama_cpp` is llama.cpp's source, whose converter needs torch and transformers."""
    random_checkpoint(folder / "checkpoint")
    made = GGUF(folder / "model.gguf", folder / "mmproj.gguf")
    convert(llama_cpp, folder / "checkpoint", made)
    return made


def convert(llama_cpp: Path, checkpoint: Path, made: GGUF, form: str = "f16") -> None:
    """Both files of a checkpoint by llama.cpp's converter, the vision side in half precision."""
    converter = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), str(checkpoint)]
    paths = [str(llama_cpp / "gguf-py"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for path, kind in ((made.language, ("--outtype", form)), (made.vision, ("--outtype", "f16", "--mmproj"))):
        subprocess.run([*converter, *kind, "--outfile", str(path)], check=True, env=environment)
