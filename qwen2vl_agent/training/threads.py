"""Threads that share their cores with others."""

import os

SPIN = "3000"
"""Rounds that an idle thread of libgomp looks for work before it sleeps.

By default it looks for milliseconds. On two cores that others use too, a step of the tiny model on 24 screens then took
9.0 s of processor time, most of it waiting; with this it takes 2.3 s, as it does alone on one thread (November 2026).
"""


def share_cores() -> None:
    """Let idle threads of torch sleep soon. To be called before torch is first imported; what is set already stays."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
