"""How fast the virtual phone draws: full images a second on one core (its own time, not the clock on the wall)."""

import time

from qwen2vl_agent.envs.virtual_phone.app_list import APPS
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

PHONES = 20
SIZES = ((1080, 2400), (540, 1200))


def images_per_second(size: tuple[int, int]) -> tuple[float, float]:
    """Rates of drawing alone, and of drawing with the phone made anew and its elements listed."""
    drawing = count = 0.0
    words = Words.train()
    start = time.process_time()
    for seed in range(PHONES):
        phone = VirtualPhone(random_state(seed, words), size)
        for package in (None, *(app.package for app in APPS)):
            if package is not None:
                phone.launch(package)
            phone.elements()
            before = time.process_time()
            phone.image()
            drawing += time.process_time() - before
            count += 1
    return count / drawing, count / (time.process_time() - start)


if __name__ == "__main__":
    for size in SIZES:
        drawn, whole = images_per_second(size)
        print(f"{size[0]}x{size[1]}: {drawn:.0f} images/s drawn, {whole:.0f} screens/s in all")
