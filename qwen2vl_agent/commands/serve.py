"""`qwen2vl-agent serve`: a model for other programs, by OpenAI's API."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from qwen2vl_agent.agent.loading import Compute, Dtype, Quantize, load
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one, load_settings
from qwen2vl_agent.commands.models import is_embedded, resolve

if TYPE_CHECKING:
    import socket

    from qwen2vl_agent.serve.access import AccessRules

TOKEN_VARIABLE = "QWEN2VL_AGENT_TOKEN"


@dataclass(frozen=True, kw_only=True)
class Command:
    """Serve a model by OpenAI's API: chat completions with pictures, videos and tools, streamed if asked for.

    Listens to this machine only, and then asks for no token. At any other --host every request needs one: that of
    --token-file, of the variable QWEN2VL_AGENT_TOKEN, or a new one that is printed. No flag takes the token itself,
    which every user of this machine could read among the processes. Pictures and videos come inside the
    request as data URLs; nothing is fetched. /health and /metrics tell how it is.

    Examples:
      qwen2vl-agent serve Qwen/Qwen2-VL-2B-Instruct --port 8000
      qwen2vl-agent serve FOLDER --host 0.0.0.0 --quantize int8
      qwen2vl-agent run --model http://127.0.0.1:8000/v1 --task "Open the clock"
    """

    model: tyro.conf.Positional[str] = ""
    """folder or hub id; the embedded model if left out, which knows the virtual phone's screens only"""
    host: str = "127.0.0.1"
    """address to listen at; 0.0.0.0 is every one that this machine has"""
    port: int = 8000
    """port to listen at; 0 takes a free one"""
    token_file: Path | None = None
    """a file with what requests have to carry as `Authorization: Bearer TOKEN`; only its owner may read it"""
    name: str = ""
    """the model's name for clients; the folder's or hub id if left out"""
    max_new_tokens: int = 1024
    """longest answer where a request names no length"""
    conversations: int = 4
    """conversations whose beginnings are kept, so that each goes on without being read again; as many as --parallel at
    least"""
    parallel: int = 4
    """answers that are written together, a new one joining at once: several agents at one model"""
    max_body_mb: int = 64
    """largest request"""
    dtype: Dtype = "auto"
    """type of the weights; auto: bfloat16 for a full-size model, float32 for a small one"""
    compute: Compute = "auto"
    """where the model runs; auto: a full-size one on the GPU where there is one, others on the CPU"""
    quantize: Quantize = "none"
    """bits of the language model's weights: a full-size model then writes two to three times as fast on a CPU"""
    quantize_vision: bool = False
    """8 bits for the vision encoder too, which then sees in half of the time"""
    max_pixels: int | None = None
    """most pixels of a picture as the model sees it, 784 a token; 602112 for a full-size model if left out, 0 for the
    checkpoint's own limit"""
    threads: int | None = None
    """of torch; one for a small model, which is then faster, and one for each core otherwise if left out"""
    json: bool = False
    """print one JSON object with the address as the last line of standard output, once it can be asked"""

    def run(self) -> int:
        """Serves until it is interrupted."""
        from qwen2vl_agent.serve.running import address, bound_socket, require_extra, run_in_foreground

        for flag in ("max_new_tokens", "conversations", "parallel", "max_body_mb"):
            at_least_one(f"--{flag.replace('_', '-')}", getattr(self, flag))
        require_extra()
        given = self._given_token()
        token = given or self._new_token()
        settings = load_settings(self, self.threads)
        name = resolve(self.model)
        listening = bound_socket(self.host, self.port)
        from qwen2vl_agent.serve.engine import Engine, Limits
        from qwen2vl_agent.serve.openai_api import make_app

        console = output.console(self.json)
        console.print(f"loading {name}", markup=False, soft_wrap=True)
        kept = max(self.conversations, self.parallel)
        limits = Limits(max_new_tokens=self.max_new_tokens, caches=kept, parallel=self.parallel)
        engine = Engine(*load(name, settings), self.name or self._name(name), limits)
        app = make_app(engine, self._rules(listening, token))
        url = f"{address(listening)}/v1"
        listening.listen()
        console.print(f"{engine.name} at {url} (Ctrl-C ends)", markup=False, soft_wrap=True)
        if token and not given:  # one that was given is known, and stays out of logs
            console.print(f"token: {token}", markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"url": url, "model": engine.name, "token": None if given else token})
        run_in_foreground(app, listening)
        return 0

    def _name(self, model: str) -> str:
        if is_embedded(self.model):
            return "qwen2vl-agent-tiny"
        return Path(model).resolve().name if Path(model).is_dir() else model

    def _given_token(self) -> str:
        from qwen2vl_agent.serve.guard import read_token

        return read_token(self.token_file) if self.token_file else os.environ.get(TOKEN_VARIABLE, "")

    def _new_token(self) -> str | None:
        from qwen2vl_agent.serve.guard import is_loopback, new_token

        return None if is_loopback(self.host) else new_token()

    def _rules(self, listening: "socket.socket", token: str | None) -> "AccessRules":
        from qwen2vl_agent.serve.access import AccessRules

        size, port = self.max_body_mb * 2**20, listening.getsockname()[1]
        return AccessRules(host=self.host, port=port, token=token, free=("/health",), max_body_bytes=size)
