"""llama.cpp beside `inference.py`: the same random network, converted by its converter and timed by its own programs.

Its vision encoder is in half precision, as its converter writes it; int8 is Q8_0, int4 is Q4_K_M. A step is asked of a
real llama-server that keeps its prefix; its replies are as long as ours, without a grammar.
"""

import base64
import io
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inference_networks import random_model
from PIL import Image

from qwen2vl_agent.model.config import Qwen2VLConfig

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "serve")]

FORMS = {"bf16": None, "fp16": None, "int8": "Q8_0", "int4": "Q4_K_M"}
"""llama.cpp's names of our kinds of weights; none for what the converter writes, bfloat16."""
PATCH = 14
START_S, ANSWER_S = 300, 900


@dataclass(slots=True)
class LlamaCpp:
    """The programs of a build, and the model's files, made when first needed and kept in `folder`."""

    programs: Path
    source: Path | None
    folder: Path
    config: Qwen2VLConfig
    threads: int

    def language(self, kind: str) -> Path:
        """The language model's file."""
        plain = self.folder / "language-bf16.gguf"
        if not plain.is_file():
            self._convert(plain)
        form = FORMS[kind]
        path = plain if form is None else self.folder / f"language-{form}.gguf"
        if not path.is_file():
            self._run("llama-quantize", str(plain), str(path), str(form), str(self.threads))
        return path

    @property
    def vision(self) -> Path:
        """The vision encoder's file."""
        self.language("bf16")
        return self.folder / "vision-f16.gguf"

    def read(self, tokens: int, kind: str = "bf16") -> float:
        """Seconds to read so many tokens into an empty cache."""
        return self._bench(kind, "-p", str(tokens), "-n", "0")

    def decode(self, depth: int, kind: str) -> float:
        """Seconds of a token after so many."""
        written = 16
        return self._bench(kind, "-p", "0", "-n", str(written), "-d", str(depth)) / written

    def encode(self, grid: tuple[int, int, int]) -> float:
        """Seconds of encoding one picture of that grid, as llama-mtmd-cli says in its log."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "screen.png"
            path.write_bytes(screen(grid, 0))
            given = ("-m", str(self.language("bf16")), "--mmproj", str(self.vision), "--image", str(path))
            said = self._run("llama-mtmd-cli", *given, "-p", "?", "-n", "1", "-t", str(self.threads), "-c", "4096")
        found = re.search(r"encod(?:ed|ing done) in (\d+) ms", said)
        if found is None:
            raise RuntimeError(f"llama-mtmd-cli did not say how long it encoded:\n{said[-2000:]}")
        return int(found[1]) / 1000

    def steps(
        self, kind: str, grid: tuple[int, int, int], texts: Sequence[str], reply: str, written: int
    ) -> list[float]:
        """Seconds of each step of a conversation with a server: a text and a screen each, `written` tokens back."""
        messages: list[dict[str, Any]] = []
        seconds = []
        with self._server(kind) as address:
            for step, text in enumerate(texts):
                picture = base64.b64encode(screen(grid, step)).decode()
                shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
                messages.append({"role": "user", "content": [{"type": "text", "text": text}, shown]})
                asked = {"messages": messages, "max_tokens": written, "temperature": 0, "ignore_eos": True}
                start = time.perf_counter()
                answer = _post(f"{address}/v1/chat/completions", asked)
                seconds.append(time.perf_counter() - start)
                if answer["usage"]["completion_tokens"] != written:
                    raise RuntimeError(f"{written} tokens were asked for, {answer['usage']} were written")
                messages.append({"role": "assistant", "content": reply})
        return seconds

    def _bench(self, kind: str, *given: str) -> float:
        asked = ("-m", str(self.language(kind)), "-t", str(self.threads), "-r", "1", "-o", "json")
        (found,) = json.loads(self._run("llama-bench", *asked, *given, out_only=True))
        (elapsed_ns,) = found["samples_ns"]
        return elapsed_ns / 1e9

    def _run(self, program: str, *given: str, out_only: bool = False) -> str:
        done = subprocess.run([self.programs / program, *given], capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout if out_only else done.stdout + done.stderr

    def _convert(self, plain: Path) -> None:
        """Saves the random network in the published layout and converts it; half-made files have other names."""
        from llama_model import GGUF, convert
        from qwen_vocabulary import qwen2_folder

        from qwen2vl_agent.dialogue.processor import Processor
        from qwen2vl_agent.model.image_processor import ImageProcessor
        from qwen2vl_agent.model.tokenizer import Tokenizer

        if self.source is None:
            raise SystemExit(
                f"{plain} is not there yet: name llama.cpp's source, which has the converter: --llama-source DIR"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            checkpoint = Path(folder) / "checkpoint"
            random_model(self.config).save_pretrained(checkpoint)
            Processor(Tokenizer.from_pretrained(qwen2_folder()), ImageProcessor()).save_pretrained(checkpoint)
            drafts = GGUF(Path(folder) / "language.gguf", Path(folder) / "vision.gguf")
            convert(self.source, checkpoint, drafts, "bf16")
            drafts.vision.replace(self.folder / "vision-f16.gguf")
            drafts.language.replace(plain)

    @contextmanager
    def _server(self, kind: str) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        models = ["-m", self.language(kind), "--mmproj", self.vision]
        given = ["-t", self.threads, "-c", 16384, "--parallel", 1, "--port", port]
        with tempfile.TemporaryFile() as log:
            server = subprocess.Popen(
                list(map(str, [self.programs / "llama-server", *models, *given])), stdout=log, stderr=subprocess.STDOUT
            )
            try:
                _until_ready(f"http://127.0.0.1:{port}/health", lambda: server.poll() is None)
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()
                server.wait()


def screen(grid: tuple[int, int, int], seed: int) -> bytes:
    """A PNG of noise whose sides are whole patches, so that nobody resizes it."""
    _, rows, columns = grid
    noise = np.random.default_rng(seed).integers(0, 256, (rows * PATCH, columns * PATCH, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        return json.loads(answer.read())


def _until_ready(url: str, lives: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if not lives():
            raise RuntimeError("llama-server ended before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"llama-server was not ready within {START_S} s")
