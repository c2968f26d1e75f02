"""The translator's network: sound and head pose through waves to a face, bent by who speaks.

Waves (random Fourier features: Rahimi and Recht, NeurIPS 2007) of each view of the sound at each
lag, and of the head pose, feed a linear decoder. A speaker is a short vector; it adds to the
weights that all speakers share. So a speaker unknown to the model, whose vector is zero, is
spoken for by what all have in common, and the best weights for given waves are found in one
solve, from which the gradient steps begin.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.audio2motion.universal_sound import LAGS_S

F32 = NDArray[np.float32]

N_WAVES = 256
"""Frequencies, each with its cosine and its sine: in pairs the likeness of two moments depends on
their difference alone. Fewer, or one wave with a random phase each, lose what the sound tells."""
_VIEW_SHARES = (0.5, 0.3, 0.2)
_VIEW_SCALES = (0.6, 0.85, 0.7)
"""Of levels, slopes and bends: how much each counts, and which difference makes unlike."""
_LAG_SHARES = (1, 2, 4, 6, 8, 6, 4)
_POSE_LINEAR = 0.3
_POSE_TO_MOUTH = 0.05
"""Variance of the mouth that head pose explains, to that sound does. This, the lags' shares and the
noise of ``translator_training`` were chosen by blocked cross-validation on training frames."""
SHARED = 0.6
"""Share of a face's answer to sound that all speakers have in common; the rest is their own."""
_MAX_VOICES = 8


class Heads(NamedTuple):
    """Mouth shapes and upper face of T frames."""

    mouth: Tensor  # [T, K]
    upper: Tensor  # [T, U]


class TranslatorNet(nn.Module):
    """Parameters and forward pass."""

    def __init__(
        self, n_channels: int, n_speakers: int, n_mouth: int, n_upper: int, *, seed: int
    ) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(seed)
        width = 2 * N_WAVES * (3 * len(LAGS_S) + 1) + 6
        scales = torch.tensor(_VIEW_SCALES)[:, None, None]
        drawn = torch.randn(3, 5 * n_channels, N_WAVES, generator=made)
        self.waves = nn.Parameter(drawn / scales)
        self.pose_waves = nn.Parameter(torch.randn(6, N_WAVES, generator=made) / 6**0.5)
        n_voices = min(n_speakers, _MAX_VOICES)
        voices = torch.eye(n_speakers, n_voices)
        if n_speakers > n_voices:
            voices = torch.randn(n_speakers, n_voices, generator=made) / n_voices**0.5
        own = ((1 - SHARED) / SHARED) ** 0.5
        self.voices = nn.Embedding(n_speakers + 1, n_voices)  # the last is anyone
        with torch.no_grad():
            self.voices.weight[:n_speakers] = own * voices
            self.voices.weight[n_speakers] = 0.0
        self.mouth = nn.Parameter(torch.zeros(1 + n_voices, width, n_mouth))
        self.upper = nn.Parameter(torch.zeros(1 + n_voices, width, n_upper))
        lags = torch.tensor(_LAG_SHARES, dtype=torch.float32)
        shares = lags[:, None] / lags.sum() * torch.tensor(_VIEW_SHARES)
        self.register_buffer("shares", (SHARED * shares / N_WAVES).sqrt()[..., None])

    def features(self, views: Tensor, pose: Tensor) -> Tensor:
        """What the decoder sees: waves of the sound, then of the pose. -> [T, F]

        Args:
            views: Of ``universal_sound.sound_views``. [T, L, 3, 5 C]
            pose: Head pose as deviations. [T, 6]
        """
        shares: Tensor = self.get_buffer("shares")
        heard = (_pairs(torch.einsum("tlvc,vcw->tlvw", views, self.waves)) * shares).flatten(1)
        turned = _pairs(pose @ self.pose_waves) * (SHARED / N_WAVES) ** 0.5
        return torch.cat([heard, turned, pose * (SHARED * _POSE_LINEAR / 6) ** 0.5], 1)

    def voiced(self, features: Tensor, speaker: int) -> Tensor:
        """Features of a speaker: the shared, then what each voice adds. [T, (1 + G) F]"""
        voice = torch.cat([torch.ones(1), self.voices.weight[speaker]])
        return (voice[None, :, None] * features[:, None]).flatten(1)

    def forward(self, views: Tensor, pose: Tensor, speaker: int) -> Heads:
        """Deviations from the speaker's mean. -> [T, K], [T, U]"""
        seen = self.voiced(self.features(views, pose), speaker)
        quiet = pose_share(seen.shape[1] // len(self.mouth), of_mouth=True)
        return Heads(
            mouth=(seen * quiet.repeat(len(self.mouth))) @ self.mouth.flatten(0, 1),
            upper=seen @ self.upper.flatten(0, 1),
        )


def _pairs(angles: Tensor) -> Tensor:
    """Cosine and sine. [..., W] -> [..., 2 W]"""
    return torch.cat([angles.cos(), angles.sin()], -1)


def pose_share(width: int, *, of_mouth: bool) -> Tensor:
    """How much each feature counts: head pose tells little of the mouth. [F]"""
    shares = torch.ones(width)
    if of_mouth:
        shares[-(2 * N_WAVES + 6) :] = _POSE_TO_MOUTH**0.5
    return shares
