"""`qwen2vl-agent chat`: a conversation with a model in the terminal."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from qwen2vl_agent.agent.loading import Compute, Dtype, Quantize, load
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one, load_settings
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError, MediaError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart

if TYPE_CHECKING:
    from qwen2vl_agent.dialogue.conversation import Answer, Conversation

HELP = "/image FILE and /video FILE show something with the next question; /new begins again; /quit ends"


@dataclass(frozen=True, kw_only=True)
class Command:
    """Talk with a model about pictures and videos.

    Answers appear as they are written. The conversation keeps what the model has read: a new question costs itself
    alone. In a terminal you are asked for questions; otherwise each line of standard input is one. Ctrl-C stops an
    answer, Ctrl-D ends. In the conversation, /image FILE and /video FILE show something with the next question, /new
    begins again, /quit ends. What each answer took is told on standard error.

    Examples:
      qwen2vl-agent chat Qwen/Qwen2-VL-2B-Instruct --image receipt.jpg
      qwen2vl-agent chat FOLDER --image one.png --image two.png --prompt "What is different?"
      qwen2vl-agent chat FOLDER --video lecture.mp4 --prompt "What is it about?" --json
      echo "What do you see?" | qwen2vl-agent chat FOLDER --image screen.png
    """

    model: tyro.conf.Positional[str] = ""
    """folder or hub id; the embedded model if left out, which knows the virtual phone's screens only"""
    image: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """a picture to show with the first question; give the flag again for more"""
    video: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """a video to show with the first question, of any length: at most 16,384 tokens are made of it"""
    prompt: str = ""
    """one question to answer, instead of a conversation"""
    system: str = ""
    """what the model is told to be; a helpful assistant if left out"""
    fps: float = 2.0
    """frames a second that are looked at in a video"""
    max_new_tokens: int = 512
    """longest answer"""
    temperature: float = 0.0
    """0: always the likeliest word; 0.7 or so: livelier"""
    seed: int = 0
    """another seed gives other answers, where the temperature is not 0"""
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
    """print one JSON object as the last line of standard output; the conversation then goes to standard error"""

    def run(self) -> int:
        """Talks until there is no more to say."""
        at_least_one("--max-new-tokens", self.max_new_tokens)
        if self.temperature < 0:
            raise ConfigError(f"--temperature is {self.temperature}; expected 0 or more")
        settings = load_settings(self, self.threads)
        shown: list[ImagePart | VideoPart] = [
            *map(ImagePart, self.image),
            *(VideoPart(path, self.fps) for path in self.video),
        ]
        for path in (*self.image, *self.video):
            if not path.is_file():
                raise MediaError(f"{path}: no such file")
        name = resolve(self.model)
        from qwen2vl_agent.dialogue.conversation import Conversation

        console = output.console(self.json)
        with console.status("loading the model"):  # packing a full-size one may take half a minute
            model, processor = load(name, settings)
        terminal = Terminal(Conversation(model, processor, self.system), console, self._sampling())
        if self.prompt:
            turns = [turn_json(self.prompt, terminal.answer(self.prompt, shown))]
        else:
            turns = list(terminal.talk(shown, self.fps))
        if self.json:
            output.print_object({"model": name, "turns": turns})
        return 0

    def _sampling(self) -> dict[str, Any]:
        return {"max_new_tokens": self.max_new_tokens, "temperature": self.temperature, "seed": self.seed}


class Terminal:
    """A conversation as it is seen and typed."""

    def __init__(self, conversation: "Conversation", console: Console, sampling: dict[str, Any]) -> None:
        self._conversation, self._console, self._sampling = conversation, console, sampling
        self._typed = sys.stdin.isatty() and console.is_terminal

    def questions(self) -> Iterator[str]:
        """What is typed, or the lines of standard input; empty lines are left out."""
        if self._typed:
            self._tell(HELP, "dim")
        while True:
            try:
                line = self._console.input("[bold cyan]you>[/] ") if self._typed else sys.stdin.readline()
            except EOFError:
                return
            except KeyboardInterrupt:
                self._console.print()
                continue
            if not line and not self._typed:
                return
            if line.strip() == "/quit":
                return
            if line.strip():
                yield line.strip()

    def talk(self, shown: list[ImagePart | VideoPart], fps: float) -> Iterator[dict[str, Any]]:
        """Answer every question, `shown` with the first; what was said, for programs."""
        for question in self.questions():
            if question.startswith("/"):
                self._obey(question, shown, fps)
                continue
            try:
                yield turn_json(question, self.answer(question, shown))
            except MediaError as error:
                self._tell(str(error), "red")
            except KeyboardInterrupt:
                if not self._typed:
                    raise
                self._tell("\n(stopped)", "yellow")
            shown.clear()

    def _obey(self, words: str, shown: list[ImagePart | VideoPart], fps: float) -> None:
        name, _, rest = words.partition(" ")
        path = Path(rest.strip()).expanduser()
        if name == "/new":
            self._conversation.begin_again()
            shown.clear()
        elif name in ("/image", "/video") and path.is_file():
            shown.append(ImagePart(path) if name == "/image" else VideoPart(path, fps))
        elif name in ("/image", "/video"):
            self._tell(f"{path}: no such file", "red")
        else:
            self._tell(HELP, "dim")

    def answer(self, question: str, shown: list[ImagePart | VideoPart]) -> "Answer":
        """The answer, printed as it comes, and then what it took.

        Raises:
            MediaError: a picture or video cannot be read.
        """
        answer = self._conversation.ask(question, shown, on_text=self._write, **self._sampling)
        self._write("\n")
        if answer.forgotten:
            print(f"({answer.forgotten} old exchanges were forgotten: the context was full)", file=sys.stderr)
        print(cost(answer), file=sys.stderr, flush=True)
        return answer

    def _tell(self, text: str, style: str) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        """As it is, but for control characters, with which a model could steer the terminal."""
        self._console.file.write("".join(letter for letter in text if letter.isprintable() or letter in "\n\t"))
        self._console.file.flush()


def cost(answer: "Answer") -> str:
    """`vit 0.21 s, prefill 0.35 s (1344 read, 0 cached), decode 61 tokens at 10.2 tokens/s`."""
    seconds, tokens = answer.result.timings, answer.result.tokens
    return (
        f"vit {seconds['vit']:.2f} s, prefill {seconds['prefill']:.2f} s ({tokens['read']} read, "
        f"{tokens['cached']} cached), decode {tokens['written']} tokens at {speed(answer):.1f} tokens/s"
    )


def speed(answer: "Answer") -> float:
    """Tokens written a second, reading and looking left out."""
    return answer.result.tokens["written"] / max(answer.result.timings["decode"], 1e-9)


def turn_json(question: str, answer: "Answer") -> dict[str, Any]:
    """A question and its answer, for programs."""
    return {
        "prompt": question,
        "reply": answer.text,
        "stopped_by": answer.result.stopped_by,
        "timings": {part: round(seconds, 4) for part, seconds in answer.result.timings.items()},
        "tokens": answer.result.tokens,
        "tokens_per_s": round(speed(answer), 2),
    }
