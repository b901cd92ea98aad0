"""Blackjack: one hand against the dealer."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image, ImageDraw

from qwen2vl_agent.envs.cards.blackjack_play import best, total
from qwen2vl_agent.envs.cards.drawing import SIDE, SUITS, TABLE, Card, lay, write
from qwen2vl_agent.envs.cards.rules import EXAMPLES

STAND, HIT = 0, 1


class BlackjackEnv(gymnasium.Env[np.ndarray, Any]):
    """A hand of blackjack, cards drawn from an endless deck.

    - 0: take no more cards and let the dealer play
    - 1: take a card

    The dealer shows one card. `hit` takes a card, and over 21 the hand is lost; `stand` has the dealer draw up to 17.
    The nearer one to 21 wins: 1 for a win, 0 for a draw, -1 for a loss. An ace and a ten are a 21 like any other.

    Source: the rules of RL4VLM (arXiv 2405.10292), gym-cards `blackjack.py`: gymnasium's `Blackjack-v1` with `natural`
    and `sab` off.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (gymnasium's own form)
    goal_text = EXAMPLES["blackjack"]
    max_steps = 21

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.player: list[Card] = []
        self.dealer: list[Card] = []
        self._over = False

    def get_action_meanings(self) -> list[str]:
        """In the order of the action space."""
        return ["stand", "hit"]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Deal two cards each."""
        super().reset(seed=seed)
        self.dealer = [self._card(), self._card()]
        self.player = [self._card(), self._card()]
        self._over = False
        return self.render(), self._info()

    def _card(self) -> Card:
        return Card(int(self.np_random.integers(1, 14)), SUITS[int(self.np_random.integers(len(SUITS)))])

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a card, or let the dealer play."""
        reward = 0.0
        if action == HIT:
            self.player.append(self._card())
            self._over = total(self._points(self.player))[0] > 21
            reward = -1.0 if self._over else 0.0
        else:
            while total(self._points(self.dealer))[0] < 17:
                self.dealer.append(self._card())
            self._over, reward = True, self._compared()
        info = self._info()
        return self.render(), reward, self._over, False, info | ({"is_success": reward > 0} if self._over else {})

    def _compared(self) -> float:
        ours, theirs = self._points(self.player), self._points(self.dealer)
        ours_total, theirs_total = total(ours)[0], total(theirs)[0]
        score = 0 if theirs_total > 21 else theirs_total
        return float(ours_total > score) - float(ours_total < score)

    def _points(self, cards: list[Card]) -> list[int]:
        return [card.points for card in cards]

    def solution(self) -> tuple[str, int]:
        """What wins most often, and why."""
        ours, shown = self._points(self.player), self.dealer[0].points
        reached, soft = total(ours)
        cards = " ".join(card.name for card in self.player)
        held = f"{cards}: {'soft ' if soft else ''}{reached} against {self.dealer[0].name}"
        action = best(reached, soft, shown)[0]
        return f"{held}: {'another card' if action == HIT else 'stay'}.", action

    def render(self) -> np.ndarray:
        """The picture: the dealer's cards above, the player's below."""
        image = Image.new("RGB", (SIDE, SIDE), TABLE)
        draw = ImageDraw.Draw(image)
        write(draw, "Dealer", 0.06)
        write(draw, "You", 0.54)
        shown: list[Card | None] = list(self.dealer) if self._over else [*self.dealer[:1], None]
        lay(image, shown, 0.3, max(4, len(shown)))
        lay(image, self.player, 0.78, max(4, len(self.player)))
        return np.array(image)

    def _info(self) -> dict[str, Any]:
        reached, soft = total(self._points(self.player))
        return {
            "player": [card.name for card in self.player],
            "dealer": self.dealer[0].name,
            "sum": reached,
            "soft": soft,
        }
