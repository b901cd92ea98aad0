"""The file of answers that an evaluation keeps: one JSON object a line, with `id` and `answer`."""

import json
from pathlib import Path

from qwen2vl_agent.schema.errors import ConfigError


class KeptAnswers:
    """Answers of an earlier run, to which those of this one are added; without a file nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        """Read what is there; a line that breaks off is left out, so that its question is asked again."""
        self._path = path
        self._found: dict[str, str] = {}
        if path is None or not path.is_file():
            return
        for line in path.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
                self._found[str(entry["id"])] = str(entry["answer"])
            except (ValueError, KeyError, TypeError):
                continue

    @classmethod
    def given(cls, path: Path) -> "KeptAnswers":
        """Those that must be there.

        Raises:
            ConfigError: there is no such file, or no answer in it.
        """
        kept = cls(path)
        if not kept._found:
            raise ConfigError(f'{path} has no answers; expected lines such as {{"id": "…", "answer": "…"}}')
        return kept

    def __len__(self) -> int:
        return len(self._found)

    def of(self, question: str) -> str | None:
        """The answer to a question; None: none yet."""
        return self._found.get(question)

    def note(self, question: str, answer: str) -> None:
        """Write an answer down."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"id": question, "answer": answer}, ensure_ascii=False) + "\n")
