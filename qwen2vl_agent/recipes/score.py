"""A share of answers that were right."""

from dataclasses import dataclass


@dataclass(slots=True)
class Score:
    """How much of something was right."""

    right: float = 0.0
    asked: int = 0

    def add(self, right: float, asked: int = 1) -> None:
        """Count one answer, or one text of so many letters."""
        self.right += right
        self.asked += asked

    @property
    def share(self) -> float:
        """0 to 1; 0 where nothing was asked."""
        return self.right / self.asked if self.asked else 0.0
