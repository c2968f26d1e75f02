"""What the puppet says: syllables in an order drawn by a seed.

The held-out part of a capture must not be learnt by heart, so a script can be drawn such that no
three visemes follow each other as they do anywhere in another script.
"""

from typing import NamedTuple

import numpy as np

from services.embedded.puppet.phonemes import CONSONANTS, PHONEMES, VOWELS

_SYLLABLES_PER_PHRASE = (5, 9)
_SHARES = {"a": 1.6, "i": 0.8, "u": 0.6, "m": 1.3, "b": 1.3}
"""How often a sound comes, against 1 for the others of its kind."""


class Spoken(NamedTuple):
    """One phoneme in time."""

    name: str
    start: float  # s
    seconds: float
    stress: float  # 0.8 .. 1.2


def write_script(
    seed: int, seconds: float, avoid: tuple[Spoken, ...] = (), start: float = 0.0
) -> tuple[Spoken, ...]:
    """Draw syllables that fill ``seconds`` from ``start`` on, pauses included.

    Args:
        seed: Of the draw.
        seconds: Length of the script.
        avoid: A script none of whose runs of three visemes may occur.
        start: When it begins, in seconds.
    """
    random = np.random.default_rng(seed)
    forbidden = viseme_triples(avoid)
    end = start + seconds
    script = [Spoken("", start, 0.3, 1.0)]
    while True:
        phrase = _draw_phrase(random, forbidden)
        stretch = random.uniform(0.9, 1.15)
        for name, stress in phrase:
            length = PHONEMES[name].seconds * stretch * (1.25 * stress - 0.25)
            at = script[-1].start + script[-1].seconds
            if at + length > end - 0.3:
                script.append(Spoken("", at, end - at, 1.0))
                return tuple(script)
            script.append(Spoken(name, at, length, stress))


def viseme_triples(script: tuple[Spoken, ...]) -> set[tuple[str, str, str]]:
    """Every run of three visemes within phrases."""
    visemes = [PHONEMES[spoken.name].viseme for spoken in script]
    runs = zip(visemes, visemes[1:], visemes[2:], strict=False)
    return {run for run in runs if "pause" not in run}


def _draw_phrase(
    random: np.random.Generator, forbidden: set[tuple[str, str, str]]
) -> list[tuple[str, float]]:
    """Consonant-vowel syllables with their stress, and the pause behind them."""
    phrase: list[tuple[str, float]] = []
    for _ in range(int(random.integers(*_SYLLABLES_PER_PHRASE))):
        stress = float(random.uniform(0.85, 1.2))
        for names in (CONSONANTS, VOWELS):
            phrase.append((_draw(random, names, phrase, forbidden), stress))
    return [*phrase, ("", float(random.uniform(0.9, 1.1)))]


def _draw(
    random: np.random.Generator,
    names: tuple[str, ...],
    before: list[tuple[str, float]],
    forbidden: set[tuple[str, str, str]],
) -> str:
    last = [PHONEMES[name].viseme for name, _ in before[-2:]]
    allowed = [name for name in names if (*last, PHONEMES[name].viseme) not in forbidden]
    names = tuple(allowed) or names
    shares = np.array([_SHARES.get(name, 1.0) for name in names])
    return str(random.choice(names, p=shares / shares.sum()))
