"""What a fuzz target is, and how one case of it is judged."""

import random
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 20.0
"""Of processor time for one case; more is a hang. Not of the clock: a busy machine makes nobody a finding."""
MOST_GROWTH_MB = 400
"""By which one case may raise the highest memory use of the process; more is a blow-up."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of `ru_maxrss`."""

Make = Callable[[random.Random], Any]
Check = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under fire."""

    name: str
    told: tuple[type[BaseException], ...]
    """Errors in which a case may end: those that its reader promises."""
    prepare: Callable[[Path], tuple[Make, Check]]
    """Given an empty folder: what makes a case, and what reads it (and asserts what holds of a valid value)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that ended in none of the ways it may."""

    target: str
    case: int
    kind: str
    """The error's class, or `hang`, `memory`, `crash`."""
    where: str
    """The last line of the package in the traceback, by which findings are told apart."""
    detail: str


class Hang(BaseException):
    """A case worked too long; no `except Exception` of the code under fire swallows it."""


class Prepared:
    """A target with its seeds made, ready for any number of cases. The main thread only: it uses a timer."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self._make, self._check = target.prepare(folder)
        self._peak_mb = _peak_mb()

    def try_case(self, seed: int, case: int) -> Finding | bool:
        """What is wrong with the way a case ended; else whether the input was taken (False: it was refused)."""
        made = self._make(random.Random(f"{seed}/{self.target.name}/{case}"))
        try:
            with warnings.catch_warnings(), _alarm(LIMIT_S):
                warnings.simplefilter("ignore")  # decoders warn of what they mend
                self._check(made)
        except self.target.told:
            taken = False
        except Hang:
            return self._finding(case, "hang", made, f"more than {LIMIT_S:g} s of processor time")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # panics of libraries in Rust are no `Exception`
            return self._finding(case, type(error).__name__, made, str(error))
        else:
            taken = True
        before, self._peak_mb = self._peak_mb, _peak_mb()
        if (grown := self._peak_mb - before) > MOST_GROWTH_MB:
            return Finding(self.target.name, case, "memory", "", f"{grown:.0f} MB more; {_short(made)}")
        return taken

    def _finding(self, case: int, kind: str, made: Any, told: str) -> Finding:
        return Finding(self.target.name, case, kind, _last_line(), f"{told[:300]}; the case: {_short(made)}")


def _last_line() -> str:
    """Where in the package the error at hand arose."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "qwen2vl_agent" in frame.filename] or frames
    path = ours[-1].filename
    return f"{path[path.rfind('qwen2vl_agent') :] if 'qwen2vl_agent' in path else Path(path).name}:{ours[-1].lineno}"


def _short(made: Any) -> str:
    try:
        text = repr(made)
    except RecursionError:
        return f"{type(made).__name__}, nested too deep to be shown"
    return text if len(text) < 400 else f"{text[:400]}… ({len(text)} characters)"


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 2**20


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
