"""Networks of the emotional motion model: how regions move together, and how emotion bends speech.

``CorrelationNet`` is a transformer over face regions, each a token: some are hidden, and it says
what they do from what the others do (CSTalk, arXiv 2404.18604, stage 1; the paper trains one per
emotion, ours is told the emotion; widths are ours, the paper gives none). ``EmotionNet`` is
the translator's network with weights of each emotion added in proportion to its intensity, so that
a face moves evenly from neutral to full as the intensity rises.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from services.audio2motion.translator_net import TranslatorNet, pose_share

_WIDTH = 32
_HEADS = 4
_LAYERS = 2
FEELING = 1.0
"""Variance of what an emotion adds to the answer to sound, to that of the answer itself."""
CONSTANT = 3.0
"""Size of the feature that is always there: an emotion's lasting expression."""
N_SEEN = 64
"""Directions in which the training frames differ most: what gradient steps work on."""


class Sizes(NamedTuple):
    """Of an EmotionNet."""

    n_channels: int
    n_speakers: int
    n_emotions: int
    n_mouth: int
    n_upper: int


class CorrelationNet(nn.Module):
    """Hidden regions of a face from the others and its emotion.

    Args:
        groups: Columns of each region; together all D columns.
        n_emotions: E.
        seed: Of its first weights.
    """

    def __init__(self, groups: Sequence[Sequence[int]], n_emotions: int, *, seed: int) -> None:
        super().__init__()
        self.groups = [list(group) for group in groups]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.seen = nn.ModuleList(nn.Linear(len(group), _WIDTH) for group in self.groups)
            self.hidden = nn.Parameter(0.1 * torch.randn(len(self.groups), _WIDTH))
            self.place = nn.Parameter(0.1 * torch.randn(len(self.groups), _WIDTH))
            self.feeling = nn.Linear(n_emotions, _WIDTH)
            layer = nn.TransformerEncoderLayer(
                _WIDTH, _HEADS, 2 * _WIDTH, dropout=0.0, batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
            self.told = nn.ModuleList(nn.Linear(_WIDTH, len(group)) for group in self.groups)

    def forward(self, face: Tensor, feeling: Tensor, is_hidden: Tensor) -> Tensor:
        """Every region as the visible ones suggest it. -> [T, D]

        Args:
            face: Columns at variance one; those of hidden regions are not looked at. [T, D]
            feeling: Intensity of each emotion. [T, E]
            is_hidden: Which regions are. [T, R]
        """
        tokens = torch.stack(
            [seen(face[:, group]) for seen, group in zip(self.seen, self.groups, strict=True)], 1
        )
        tokens = torch.where(is_hidden[..., None], self.hidden, tokens) + self.place
        tokens = torch.cat([tokens, self.feeling(feeling)[:, None]], 1)
        mixed = self.encoder(tokens)
        told = torch.zeros_like(face)
        for number, (read, group) in enumerate(zip(self.told, self.groups, strict=True)):
            told[:, group] = read(mixed[:, number])
        return told


class Parts(NamedTuple):
    """What T frames of speech say before it is known what is felt."""

    own: Tensor  # [T, K + U] without any emotion
    bent: Tensor  # [T, E, K + U] what each emotion adds at full intensity
    seen: Tensor  # [T, N_SEEN + 1] what the learned part of the upper face sees


class EmotionNet(nn.Module):
    """Speech, head pose, speaker and emotion to mouth shapes and upper face."""

    basis: Tensor
    scale: Tensor

    def __init__(self, sizes: Sizes, *, seed: int) -> None:
        super().__init__()
        self.spoken = TranslatorNet(
            sizes.n_channels, sizes.n_speakers, sizes.n_mouth, sizes.n_upper, seed=seed
        )
        width = self.spoken.mouth.shape[1]
        self.mouth = nn.Parameter(torch.zeros(sizes.n_emotions, width + 1, sizes.n_mouth))
        self.upper = nn.Parameter(torch.zeros(sizes.n_emotions, width + 1, sizes.n_upper))
        self.learned = nn.Parameter(torch.zeros(1 + sizes.n_emotions, N_SEEN + 1, sizes.n_upper))
        self.register_buffer("basis", torch.zeros(width, N_SEEN))
        self.register_buffer("scale", torch.ones(sizes.n_mouth + sizes.n_upper))

    def parts(self, features: Tensor, speaker: int) -> Parts:
        """Everything that does not depend on the emotion.

        Args:
            features: Of ``TranslatorNet.features``. [T, F]
            speaker: Number; the last is anyone.
        """
        own, bent = [], []
        for of_mouth, spoken, felt in (
            (True, self.spoken.mouth, self.mouth),
            (False, self.spoken.upper, self.upper),
        ):
            counted = features * pose_share(features.shape[1], of_mouth=of_mouth)
            own.append(self.spoken.voiced(counted, speaker) @ spoken.flatten(0, 1))
            bent.append(torch.einsum("tf,efk->tek", felt_features(counted), felt))
        seen = torch.cat([features @ self.basis, torch.ones(len(features), 1)], 1)
        return Parts(torch.cat(own, 1), torch.cat(bent, 2), seen)

    def face(self, parts: Parts, feeling: Tensor) -> Tensor:
        """Deviations from the speaker's neutral mean, linear in ``feeling``. -> [T, K + U]

        Args:
            parts: Of ``parts``.
            feeling: Intensity of each emotion. [T, E]
        """
        voice = torch.cat([torch.ones(len(feeling), 1), feeling], 1)
        learned = torch.einsum("tv,tn,vnu->tu", voice, parts.seen, self.learned)
        n_mouth = self.mouth.shape[2]
        face = parts.own + (parts.bent * feeling[..., None]).sum(1)
        upper = face[:, n_mouth:] + learned * self.scale[n_mouth:]
        return torch.cat([face[:, :n_mouth], upper], 1)


def felt_features(counted: Tensor) -> Tensor:
    """What an emotion's weights see: a part of the sound's features and a constant. [T, F + 1]"""
    lasting = torch.full((len(counted), 1), CONSTANT, dtype=counted.dtype)
    return torch.cat([FEELING**0.5 * counted, lasting], 1)
