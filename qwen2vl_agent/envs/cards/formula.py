"""Arithmetic of whole numbers with + - * / and brackets: read without running anything, and computed exactly."""

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction

OPERATORS = ("+", "-", "*", "/")
MOST_TOKENS = 64


def value_of(tokens: Sequence[str]) -> Fraction | None:
    """The value of a formula given token by token; None where it is no formula, or divides by zero.

    Numbers are tokens of their own, so `1` followed by `0` is no ten. There are no signs: `- 3` alone is no formula.
    """
    if not 0 < len(tokens) <= MOST_TOKENS:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.total()
    except (ValueError, ZeroDivisionError):
        return None
    return value if reader.at_end else None


class _Reader:
    """Recursive descent: a total of products of numbers and bracketed totals."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens, self._place = tuple(tokens), 0

    @property
    def at_end(self) -> bool:
        return self._place == len(self._tokens)

    def total(self) -> Fraction:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            value = value + self._product() if sign == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while (sign := self._take("*", "/")) is not None:
            value = value * self._factor() if sign == "*" else value / self._factor()
        return value

    def _factor(self) -> Fraction:
        if self._take("(") is not None:
            value = self.total()
            if self._take(")") is None:
                raise ValueError("a bracket is not closed")
            return value
        if self.at_end or not self._tokens[self._place].isdecimal():
            raise ValueError("a number is missing")
        self._place += 1
        return Fraction(int(self._tokens[self._place - 1]))

    def _take(self, *wanted: str) -> str | None:
        if self.at_end or self._tokens[self._place] not in wanted:
            return None
        self._place += 1
        return self._tokens[self._place - 1]


def solve(numbers: Sequence[int], target: int, operators: Sequence[str] = OPERATORS) -> tuple[str, ...] | None:
    """A formula that uses each number once and gives `target`, with no bracket that is not needed; None if none does.

    Every pair of values is combined in every way until one is left: complete, since any formula is such a combination.
    """
    return _solved(tuple(numbers), target, tuple(operators))


@functools.lru_cache(2048)
def _solved(numbers: tuple[int, ...], target: int, operators: tuple[str, ...]) -> tuple[str, ...] | None:
    leaves: list[Term] = [(Fraction(number), (str(number),), 3) for number in numbers]
    return _solve(leaves, Fraction(target), operators)


Term = tuple[Fraction, tuple[str, ...], int]
"""A value, how it is written, and how tightly that holds together: 1 a total, 2 a product, 3 a number or brackets."""


def _solve(terms: list[Term], target: Fraction, operators: tuple[str, ...]) -> tuple[str, ...] | None:
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    for i, j in itertools.permutations(range(len(terms)), 2):
        rest = [term for place, term in enumerate(terms) if place not in (i, j)]
        for operator in operators:
            if operator in "+*" and i > j:
                continue  # the same either way round
            made = _combined(terms[i], operator, terms[j])
            found = _solve([*rest, made], target, operators) if made else None
            if found:
                return found
    return None


def _combined(left: Term, operator: str, right: Term) -> Term | None:
    if operator == "/" and right[0] == 0:
        return None
    values = {"+": left[0].__add__, "-": left[0].__sub__, "*": left[0].__mul__, "/": left[0].__truediv__}
    level = 1 if operator in "+-" else 2
    ours = left[1] if left[2] >= level else ("(", *left[1], ")")
    needs = right[2] < level or (right[2] == level and operator in "-/")
    theirs = ("(", *right[1], ")") if needs else right[1]
    return values[operator](right[0]), (*ours, operator, *theirs), level
