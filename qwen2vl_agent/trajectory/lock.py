"""One writer for each episode: a lock that ends with the process that holds it, however that ends."""

from typing import BinaryIO

from qwen2vl_agent.schema.errors import RecordError


class RecordBusy(RecordError):
    """Another process is writing this episode."""


def lock(file: BinaryIO) -> None:
    """Keep a file to this process until it is closed. Without effect where there is no `fcntl` (Windows).

    Raises:
        RecordBusy: another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise RecordBusy(
            f"{file.name} is being written by another process; let it end, or choose another folder"
        ) from error
