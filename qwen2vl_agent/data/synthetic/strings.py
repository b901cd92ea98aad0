"""Strings to read: inventions, common words, times and numbers, so that reading is learned and not a list."""

import random
import string

_ONSETS = "b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr qu sh sl sp st sw th tr wh x"
_NUCLEI = "a e i o u ai ea ee ie io oa oo ou y au ei"
_CODAS = "b c d g k l m n p r s t x ck ll nd ng nt rd rk rs rt sh ss st th tt ze ght"
_COMMON = """
settings network internet connected devices apps notifications battery storage sound display wallpaper accessibility
security privacy location system about phone search add edit delete save cancel open close send message new contact name
number email alarm clock timer note notes title body today yesterday tomorrow morning evening meeting lunch call
back next done yes no on off low high mode time date language keyboard camera gallery music weather files calendar
browser calculator messages contacts work mobile font size theme dark light night screen timeout ring volume media
vibration hotspot wifi bluetooth airplane data saver the a to of and in for with from at is it on my your buy milk book
"""
NUMBERS = 0.3
"""Share of numbers: nothing but the eye tells one digit from another, where a word is half guessed."""
_POOLS = {
    name: text.split() for name, text in zip(("onset", "nucleus", "common"), (_ONSETS, _NUCLEI, _COMMON), strict=True)
}
_ENDS = ["", "", "", *_CODAS.split()]


def word(rng: random.Random) -> str:
    """One word: a common one, a pronounceable invention, or random letters."""
    kind = rng.random()
    if kind < 0.25:
        text = rng.choice(_POOLS["common"])
    elif kind < 0.8:
        syllables = rng.choices((1, 2, 3), (0.3, 0.5, 0.2))[0]
        text = "".join(
            rng.choice(_POOLS["onset"]) + rng.choice(_POOLS["nucleus"]) + rng.choice(_ENDS) for _ in range(syllables)
        )
    else:
        text = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 8)))
    case = rng.random()
    if case < 0.55:
        return text.capitalize()
    return text.upper() if case < 0.62 else text


def number(rng: random.Random) -> str:
    """Digits as phones show them: a time, a telephone number, a percentage, a sum, degrees, a price."""
    kind = rng.randrange(7)
    if kind == 0:
        return f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
    if kind == 1:
        return (
            "".join(rng.choices(string.digits, k=rng.randint(3, 4)))
            + rng.choice(" -")
            + "".join(rng.choices(string.digits, k=rng.randint(3, 4)))
        )
    if kind == 2:
        return f"{rng.randrange(101)}%"
    if kind == 3:
        return f"{rng.randrange(1000)}{rng.choice('+-×÷=')}{rng.randrange(1000)}"
    if kind == 4:
        return f"{rng.randrange(-20, 45)}°"
    if kind == 5:
        return f"{rng.randrange(200)}.{rng.randrange(100):02d}"
    return str(rng.randrange(10 ** rng.randint(1, 6)))


def label(rng: random.Random) -> str:
    """One to three words, or a number: what stands in one line of a screen."""
    if rng.random() < NUMBERS:
        return number(rng)
    words = [word(rng) for _ in range(rng.choices((1, 2, 3), (0.5, 0.38, 0.12))[0])]
    return " ".join(words)[:22].strip()
