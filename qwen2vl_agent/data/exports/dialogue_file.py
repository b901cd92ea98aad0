"""Writing conversations as a file of JSON lines with a folder of pictures."""

import json
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.exports.dialogue_rows import Row, RowMaker, messages_row, sharegpt_row, swift_row
from qwen2vl_agent.data.exports.exchanges import Conversation, conversation
from qwen2vl_agent.data.exports.pictures import PictureFolder
from qwen2vl_agent.schema.errors import RecordError

ROWS_FILE = "data.jsonl"
FACTORY_FILE = "dataset_info.json"
FACTORY_NAME = "qwen2vl_agent"
ROWS: dict[str, RowMaker] = {"messages": messages_row, "sharegpt": sharegpt_row, "swift": swift_row}
SAYS_WHAT_TO_LEARN = ("swift",)
"""Formats that can tell of each reply whether it is to be learned."""
LEFT_OUT = "it has replies that are not to be learned, which this format cannot say; --each-reply keeps the others"


class DialogueFile:
    """An export of one of the formats in `ROWS`."""

    def __init__(self, kind: str, out: Path, each_reply: bool = False) -> None:
        self._kind, self._each_reply = kind, each_reply
        self._pictures = PictureFolder(out)
        self._file = (out / ROWS_FILE).open("w", encoding="utf-8")
        if kind == "sharegpt":
            described = json.dumps({FACTORY_NAME: factory_entry()}, indent=2)
            (out / FACTORY_FILE).write_text(described + "\n", encoding="utf-8")

    def add(self, folder: Path) -> int:
        """Write an episode; the number of rows that it became.

        Raises:
            RecordError: it cannot be read, or has what the format cannot say.
        """
        rows = [self._row(one) for one in self._conversations(folder)]
        for row in rows:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return len(rows)

    def close(self) -> None:
        """The file is whole."""
        self._file.close()

    def _conversations(self, folder: Path) -> list[Conversation]:
        whole = conversation(folder)
        if self._each_reply:
            return list(whole.up_to_each_reply())
        if not whole.learnt_whole and self._kind not in SAYS_WHAT_TO_LEARN:
            raise RecordError(LEFT_OUT)
        return [whole]

    def _row(self, one: Conversation) -> Row:
        return ROWS[self._kind](one, self._each_reply, self._pictures.add)


def factory_entry() -> dict[str, Any]:
    """What LLaMA-Factory's `dataset_info.json` says of the file."""
    return {
        "file_name": ROWS_FILE,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "images": "images"},
    }
