"""Exact arithmetic for the calculator: a small parser, no `eval`."""

from fractions import Fraction

ERROR = "Error"
DIGITS = 10
"""Decimals that a result is rounded to."""


def evaluate(expression: str) -> str:
    """The value of an expression as the display shows it; `Error` where it has none.

    Operators are `+ − × ÷`, with brackets; `2(3)` is not a product.
    """
    try:
        reader = _Reader(expression)
        value = reader.total()
        if reader.rest:
            return ERROR
    except (ValueError, ZeroDivisionError):
        return ERROR
    return _shown(value)


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator).replace("-", "−")
    return f"{float(value):.{DIGITS}g}".replace("-", "−")


class _Reader:
    """Recursive descent over the letters that are left."""

    def __init__(self, text: str) -> None:
        self.rest = text.replace(" ", "")

    def total(self) -> Fraction:
        value = self._product()
        while self.rest[:1] in ("+", "−"):
            sign = self._take()
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while self.rest[:1] in ("×", "÷"):
            sign = self._take()
            other = self._factor()
            value = value * other if sign == "×" else value / other
        return value

    def _factor(self) -> Fraction:
        if self.rest[:1] == "−":
            self._take()
            return -self._factor()
        if self.rest[:1] == "(":
            self._take()
            value = self.total()
            if self._take() != ")":
                raise ValueError("a bracket is not closed")
            return value
        return self._number()

    def _number(self) -> Fraction:
        length = len(self.rest) - len(self.rest.lstrip("0123456789."))
        digits, self.rest = self.rest[:length], self.rest[length:]
        return Fraction(digits)

    def _take(self) -> str:
        letter, self.rest = self.rest[:1], self.rest[1:]
        return letter
