"""Motion fields: where speech and face move each Gaussian (TalkingGaussian, section 3).

They say how a Gaussian moves, turns and stretches; colour and opacity are none of their business.
"""

import torch
from torch import Tensor, nn

from shared.talker_parts.audio_nets import N_AUDIO
from shared.talker_parts.planar_grids import N_FEATURES, PlanarGrids
from shared.upper_face import N_BROWS

MOVE_UNIT_M = 1e-2
SIDEWAYS = 0.2
"""A mouth's inside moves up and down; sideways and in depth a fifth of that."""
N_EXPRESSION = N_BROWS + 1
BLINK_RANGE = 2.0
"""Closed eyes are 2, as OpenFace's AU45 is clipped there."""


class Focus:
    """What of the fields depends on the places alone, and stays from frame to frame."""

    def __init__(self, features: Tensor, audio: Tensor, expression: Tensor | None) -> None:
        self.features = features  # [N, 36]
        self.audio = audio  # [N, 32] how much each number heard counts here
        self.expression = expression  # [N, 6] the same of the expression


class FaceField(nn.Module):
    """Moves, turns and stretches the face by sound and expression."""

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.grids = PlanarGrids(centre, 16, 256 * 0.15)
        self.audio_focus = _layers(N_FEATURES, 32, N_AUDIO)
        self.expression_focus = _layers(N_FEATURES, 16, N_EXPRESSION)
        self.brows = _layers(N_BROWS, 16, N_BROWS)
        self.motion = _layers(N_FEATURES + N_AUDIO + N_EXPRESSION, 64, 64, 11)

    def focus(self, places: Tensor) -> Focus:
        """Region attention of each place. [N, 3]"""
        features = self.grids(places)
        return Focus(
            features, self.audio_focus(features), torch.relu(self.expression_focus(features))
        )

    def forward(self, focus: Focus, heard: Tensor, upper_face: Tensor) -> Tensor:
        """Raw motion of each place: move 3, turn 4, an unused number, stretch 3. [N, 11]"""
        assert focus.expression is not None
        blink = BLINK_RANGE * upper_face[N_BROWS:].mean(0, keepdim=True)
        expression = torch.cat([self.brows(upper_face[:N_BROWS]), blink])
        known = [focus.features, focus.audio * heard, focus.expression * expression]
        return self.motion(torch.cat(known, 1))

    def moves(self, places: Tensor, heard: Tensor, upper_face: Tensor) -> Tensor:
        """Where it moves each place in several frames. [N, 3], [B, 32], [B, 7] -> [B, N, 3] m"""
        focus = self.focus(places)
        raw = [self(focus, *known) for known in zip(heard, upper_face, strict=True)]
        return MOVE_UNIT_M * torch.stack(raw)[..., :3]


class MouthField(nn.Module):
    """Moves the inside of the mouth by sound, mostly up and down."""

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.grids = PlanarGrids(centre, 64, 384 * 0.15)
        self.motion = _layers(N_FEATURES + N_AUDIO, 32, 32, 3)

    def forward(self, places: Tensor, heard: Tensor) -> Tensor:
        """Raw motion of each place. [N, 3]"""
        features = self.grids(places)
        return self.motion(torch.cat([features, heard.expand(len(features), -1)], 1))

    def moves(self, places: Tensor, heard: Tensor) -> Tensor:
        """Where it moves each place in several frames. [N, 3], [B, 32] -> [B, N, 3] m"""
        up_and_down = torch.tensor([SIDEWAYS, 1.0, SIDEWAYS]) * MOVE_UNIT_M
        return up_and_down * torch.stack([self(places, each) for each in heard])


def _layers(*widths: int) -> nn.Sequential:
    """Layers without bias, ReLU between them."""
    layers: list[nn.Module] = []
    for place in range(len(widths) - 1):
        layers += [nn.Linear(widths[place], widths[place + 1], bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
