"""What UniTalker's heads give: eight corpora, six kinds of annotation.

Fan et al., "UniTalker: Scaling up audio-driven 3D facial animation through a unified model",
ECCV 2024; names and sizes of X-niper/UniTalker (Apache-2.0). Speakers are numbered through the
corpora D0 to D7; the last style belongs to nobody (the pivot) and serves those who were not seen.
"""

from typing import Literal, NamedTuple

Kind = Literal["vertices", "flame", "blendshapes"]
OutputName = Literal["D0", "D1", "D2", "D3", "D4", "D5", "D6", "D7"]

N_COMPONENTS = 512
"""Of vertex kinds, which are predicted as principal components."""


class Output(NamedTuple):
    """What is predicted of one corpus."""

    head: str
    """Name of the head, which is that of the annotation; corpora of one kind share it."""
    kind: Kind
    n_values: int
    n_speakers: int
    fps: int = 30
    folder: str | None = None
    """Of its principal components inside UniTalker's data release."""

    @property
    def width(self) -> int:
        """Values that the head itself gives per frame."""
        return N_COMPONENTS if self.folder else self.n_values


OUTPUTS: dict[str, Output] = {
    "D0": Output("BIWI_23370_vertices", "vertices", 23370 * 3, 6, fps=25, folder="BIWI"),
    "D1": Output("FLAME_5023_vertices", "vertices", 5023 * 3, 12, folder="vocaset"),
    "D2": Output("meshtalk_6172_vertices", "vertices", 6172 * 3, 13, folder="meshtalk"),
    "D3": Output("3DETF_blendshape_weight", "blendshapes", 52, 141),
    "D4": Output("3DETF_blendshape_weight", "blendshapes", 52, 24),
    "D5": Output("flame_params_from_dadhead", "flame", 413, 719),
    "D6": Output("inhouse_blendshape_weight", "blendshapes", 51, 8),
    "D7": Output("inhouse_blendshape_weight", "blendshapes", 51, 11),
}
N_STYLES = sum(output.n_speakers for output in OUTPUTS.values()) + 1
PIVOT = N_STYLES - 1

N_FLAME_SHAPE, N_FLAME_EXPRESSION = 300, 100
FLAME_EXPRESSION = slice(N_FLAME_SHAPE, N_FLAME_SHAPE + N_FLAME_EXPRESSION)
FLAME_JAW = slice(FLAME_EXPRESSION.stop, FLAME_EXPRESSION.stop + 3)
"""Of D5: shape, expression, jaw; rotation (6), translation (3) and scale (1) follow."""
FLAME_EDITION = "flame2020"

_EMOTALK = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
BLENDSHAPES = {"D3": _EMOTALK, "D4": _EMOTALK}
"""Order of psyai-net/EmoTalk_release, whose data these are; that of D6 and D7 is unpublished."""
