"""The parts of `qwen2vl-agent data` that draw instead of reading: generators, recorded screens, stand-ins."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one, worker_count


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """List the generators of pictures and films with questions, which need no download.

    Each example is a pure function of a seed and its number. They are looked at with `data inspect` and learnt from
    with `train stage2 --data synthetic:NAME=SHARE`.

    Examples:
      qwen2vl-agent data synthetic
      qwen2vl-agent data inspect synthetic:tables --index 3 --out table.png
    """

    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Lists them."""
        from rich.table import Table

        from qwen2vl_agent.data.synthetic.fonts import writable
        from qwen2vl_agent.data.synthetic.registry import GENERATORS, address

        table = Table("had as", "draws")
        for name, generator in GENERATORS.items():
            table.add_row(address(name), generator.about)
        console = output.console(self.json)
        console.print(table)
        console.print(f"scripts that fonts here can write: {', '.join(writable())}", soft_wrap=True)
        if self.json:
            output.print_object({"generators": list(GENERATORS), "scripts": list(writable())})
        return 0


@dataclass(frozen=True, kw_only=True)
class Screens:
    """Record screens of virtual phones with their elements, for the generators that ask about screens.

    Examples:
      qwen2vl-agent data screens --out stores/screens --count 1024
      qwen2vl-agent data inspect synthetic:screens@stores/screens --out screen.png
    """

    out: Path
    """folder for them; what is there already stays"""
    count: int = 512
    """how many, in files of 256"""
    seed: int = 0
    """of the phones and of the walks through them"""
    max_pixels: int = 112_896
    """of a screen as it is kept"""
    workers: int | None = None
    """processes; one for each core if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Records them, showing how far it is."""
        at_least_one("--count", self.count)
        from qwen2vl_agent.data.synthetic.page_store import PageStore
        from qwen2vl_agent.recipes.harvest import harvest_pages

        harvest_pages(
            self.out,
            pages=self.count,
            max_pixels=self.max_pixels,
            seed=self.seed,
            workers=worker_count(self.workers),
        )
        count = len(PageStore(self.out))
        output.console(self.json).print(f"{count} screens in {self.out}", markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"out": str(self.out), "screens": count})
        return 0


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """Write a small stand-in of a benchmark, in its own files' form, of generated pictures or films.

    It shows that an evaluation runs from the files to the score. Its scores say nothing about the real benchmark.

    Examples:
      qwen2vl-agent data standin docvqa --out standins/docvqa
      qwen2vl-agent eval docvqa --data standins/docvqa --model FOLDER
    """

    suite: tyro.conf.Positional[str]
    """docvqa, infovqa, mathvista or videomme"""
    out: Path
    """a folder with nothing in it"""
    count: int = 50
    """questions, one to each picture or film"""
    seed: int = 0
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Writes it."""
        at_least_one("--count", self.count)
        from qwen2vl_agent.data.synthetic import standins

        standins.write(self.suite, self.out, self.count, self.seed)
        told = f"{self.count} questions in {self.out}; next: qwen2vl-agent eval {self.suite} --data {self.out}"
        output.console(self.json).print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"out": str(self.out), "questions": self.count})
        return 0
