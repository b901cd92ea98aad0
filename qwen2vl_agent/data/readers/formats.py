"""The formats by name, and examples of a record of any of them."""

from collections.abc import Callable
from typing import Any

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.readers import dialogues, pages, phones, robots
from qwen2vl_agent.data.readers.atif import atif
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.records import Record
from qwen2vl_agent.schema.errors import ConfigError, RecordError

Reader = Callable[[dict[str, Any], MediaRoot, str], Example]
FORMATS: dict[str, Reader] = {
    "llava": dialogues.llava,
    "sharegpt": dialogues.sharegpt,
    "messages": dialogues.messages,
    "interleaved": pages.interleaved,
    "pairs": pages.pair,
    "text": pages.text,
    "webdataset": pages.webdataset,
    "lerobot": robots.lerobot,
    "atif": atif,
    "aitz": phones.aitz,
    "androidcontrol": phones.android_control,
    "odyssey": phones.odyssey,
}


def reader(name: str) -> Reader:
    """The reader of a format.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no format {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def example(record: Record, read: Reader, root: MediaRoot, source: str) -> Example:
    """The example that a record is.

    Raises:
        RecordError: it is not in this format; the message says where it stands.
        MediaError: a picture cannot be had.
    """
    try:
        if record.problem:
            raise RecordError(record.problem)
        return read(record.value, root, source)
    except RecordError as error:
        raise RecordError(f"{record.where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        # Records come from outside: a field of another type than its format says can fail anywhere.
        raise RecordError(f"{record.where}: not in the format expected: {error!r}") from error
