"""The sounds of the demo's speech: how each is made and what the lips do meanwhile.

Formants are textbook averages of a female voice (Peterson and Barney 1952; Klatt 1980).
"""

from typing import Literal, NamedTuple

Manner = Literal["vowel", "voiced", "nasal", "fricative", "voiced_fricative", "plosive", "pause"]


class Lips(NamedTuple):
    """Where the lips aim."""

    jaw: float = 0.0  # rad
    width: float = 0.0  # -1 rounded .. 1 spread
    press: float = 0.0  # 1: closed
    tuck: float = 0.0  # 1: lower lip at the upper teeth


class Phoneme(NamedTuple):
    """One sound."""

    manner: Manner
    viseme: str
    """Sounds of one viseme look alike."""
    seconds: float
    formants: tuple[float, float, float]
    """Hz."""
    noise_band: tuple[float, float] | None
    """Hz, of the hiss or of the burst."""
    lips: Lips


def _vowel(f1: float, f2: float, f3: float, viseme: str, lips: Lips) -> Phoneme:
    return Phoneme("vowel", viseme, 0.15, (f1, f2, f3), None, lips)


_CLOSED = Lips(press=1.0)
_AT_TEETH = Lips(jaw=0.03, tuck=1.0)
_TONGUE = Lips(jaw=0.06, width=0.15, press=0.35)

PHONEMES: dict[str, Phoneme] = {
    "a": _vowel(850, 1350, 2700, "open", Lips(jaw=0.21, width=0.1)),
    "e": _vowel(560, 2100, 2900, "mid", Lips(jaw=0.11, width=0.6)),
    "i": _vowel(320, 2700, 3300, "spread", Lips(jaw=0.05, width=1.0, press=0.3)),
    "o": _vowel(560, 900, 2700, "round_open", Lips(jaw=0.15, width=-0.6, press=0.1)),
    "u": _vowel(350, 850, 2600, "round", Lips(jaw=0.07, width=-1.0, press=0.4)),
    "m": Phoneme("nasal", "lips", 0.09, (280, 1050, 2300), None, _CLOSED),
    "b": Phoneme("plosive", "lips", 0.09, (280, 900, 2300), (300, 1200), _CLOSED),
    "p": Phoneme("plosive", "lips", 0.10, (280, 900, 2300), (500, 1800), _CLOSED),
    "f": Phoneme("fricative", "lip_teeth", 0.10, (350, 1300, 2500), (2000, 7600), _AT_TEETH),
    "v": Phoneme("voiced_fricative", "lip_teeth", 0.09, (320, 1200, 2400), (2000, 7000), _AT_TEETH),
    "s": Phoneme(
        "fricative", "narrow", 0.11, (350, 1800, 2700), (4800, 7800), Lips(0.03, 0.5, 0.4)
    ),
    "sh": Phoneme(
        "fricative", "narrow_round", 0.11, (350, 1900, 2500), (2300, 5200), Lips(0.05, -0.6, 0.3)
    ),
    "t": Phoneme("plosive", "tongue", 0.09, (350, 1850, 2800), (3500, 7500), _TONGUE),
    "d": Phoneme("plosive", "tongue", 0.08, (300, 1800, 2700), (2800, 6000), _TONGUE),
    "n": Phoneme("nasal", "tongue", 0.09, (300, 1700, 2600), None, _TONGUE),
    "l": Phoneme("voiced", "tongue", 0.08, (380, 1300, 2900), None, Lips(0.09, 0.1, 0.15)),
    "k": Phoneme("plosive", "back", 0.09, (320, 1900, 2600), (1500, 3000), Lips(0.10, 0.0, 0.1)),
    "w": Phoneme("voiced", "round", 0.09, (320, 700, 2400), None, Lips(0.05, -1.0, 0.5)),
    "": Phoneme("pause", "pause", 0.38, (500, 1500, 2700), None, _CLOSED),
}
"""By name; the empty name is silence."""

VOWELS = ("a", "e", "i", "o", "u")
CONSONANTS = ("m", "b", "p", "f", "v", "s", "sh", "t", "d", "n", "l", "k", "w")
