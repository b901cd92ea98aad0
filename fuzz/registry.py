"""All targets, by name."""

from fuzz.target import Target
from fuzz.targets import adb, calls, checkpoints, exchanges, media, records, rules, serving, stores, trajectories

MODULES = (calls, trajectories, media, checkpoints, stores, records, rules, serving, exchanges, adb)
TARGETS: dict[str, Target] = {target.name: target for module in MODULES for target in module.TARGETS}
