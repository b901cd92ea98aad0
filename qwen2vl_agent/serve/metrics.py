"""Numbers of a running server, in the text form that Prometheus reads."""

import threading
import time
from collections import Counter

from qwen2vl_agent.serve.engine import Written

PREFIX = "qwen2vl_agent_"
HELP = {
    "requests_total": ("counter", "Requests answered, by HTTP status."),
    "tokens_total": ("counter", "Tokens read, known from before, and written."),
    "seconds_total": ("counter", "Seconds of work, by part."),
    "requests_waiting": ("gauge", "Requests that wait or are being answered."),
    "uptime_seconds": ("gauge", "Seconds since the server began."),
}


class Metrics:
    """Counts; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.waiting = 0

    def answered(self, status: int) -> None:
        """A request was answered."""
        with self._lock:
            self._counts["requests_total", "status", str(status)] += 1

    def wrote(self, written: Written) -> None:
        """What an answer took."""
        with self._lock:
            for kind, count in written.result.tokens.items():
                self._counts["tokens_total", "kind", kind] += count
            for part, seconds in written.result.timings.items():
                self._counts["seconds_total", "part", part] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """Everything. Source of the form: Prometheus, "Exposition formats"."""
        with self._lock:
            counts = sorted(self._counts.items())
        values = [
            *((name, f'{{{label}="{value}"}}', count) for (name, label, value), count in counts),
            ("requests_waiting", "", self.waiting),
            ("uptime_seconds", "", time.monotonic() - self._begun),
        ]
        lines = []
        for name, (kind, told) in HELP.items():
            lines += [f"# HELP {PREFIX}{name} {told}", f"# TYPE {PREFIX}{name} {kind}"]
            lines += [f"{PREFIX}{known}{label} {value:g}" for known, label, value in values if known == name]
        return "\n".join(lines) + "\n"
