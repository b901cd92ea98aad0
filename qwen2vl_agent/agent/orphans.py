"""Worker processes end when the process that began them does, however that ended."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait


def die_with_parent() -> None:
    """For a worker's first line: once its parent is gone it must not go on writing beside the one that resumes."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
