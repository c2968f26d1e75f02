"""The ledger of optional model files: what each one unlocks, its licence, where its owner has it.

Nothing is downloaded. Files that a user obtains lie in the folder of ``TALKSPLAT_MODELS_DIR``.
"""

import hashlib
import os
from pathlib import Path
from typing import Literal, NamedTuple

from shared.errors import MissingModel
from shared.settings import read_settings

Presence = Literal["present", "missing", "altered"]


class ModelFile(NamedTuple):
    """One row of the ledger."""

    name: str
    """File name inside the models folder."""
    unlocks: str
    """What a person gains by having it."""
    licence: str
    owner: str
    """Where its owner publishes it."""
    sha256: str | None = None
    """Of the published file, where known."""
    read_by: tuple[str, ...] = ()
    """Modules that read it; empty while no released part does."""


class FoundModelFile(NamedTuple):
    """A row of the ledger, and what lies in the models folder."""

    file: ModelFile
    presence: Presence


_FLAME_READER = ("shared.scanned_heads.flame_file",)
_LPIPS_READER = ("services.evaluator.networks.perceptual",)
LEDGER = (
    ModelFile(
        "ict_facekit_light.npz",
        "head model ict_face: ICT FaceKit Light (talksplat models import ict-facekit)",
        "MIT",
        "github.com/ICT-VGL/ICT-FaceKit",
        read_by=("shared.scanned_heads.ict_facekit",),
    ),
    ModelFile(
        "flame2023.pkl",
        "head model flame: FLAME 2023",
        "MPI FLAME licence (non-commercial; a CC-BY-4.0 edition exists)",
        "flame.is.tue.mpg.de",
        read_by=_FLAME_READER,
    ),
    ModelFile(
        "generic_model.pkl",
        "head model flame: FLAME 2020, where 2023 is absent",
        "MPI FLAME licence (non-commercial)",
        "flame.is.tue.mpg.de",
        read_by=_FLAME_READER,
    ),
    ModelFile(
        "FLAME_masks.pkl",
        "head model flame: the regions of its vertices",
        "MPI FLAME licence (non-commercial)",
        "flame.is.tue.mpg.de",
        read_by=_FLAME_READER,
    ),
    ModelFile(
        "mediapipe_landmark_embedding.npz",
        "head model flame: 105 of MediaPipe's landmarks",
        "MPI FLAME licence (non-commercial)",
        "flame.is.tue.mpg.de",
        read_by=_FLAME_READER,
    ),
    ModelFile(
        "landmark_embedding_with_eyes.npy",
        "head model flame: 68 landmarks, in place of MediaPipe's or for the jawline",
        "MPI FLAME licence (non-commercial)",
        "flame.is.tue.mpg.de",
        read_by=_FLAME_READER,
    ),
    ModelFile(
        "face_landmarker.task",
        "tracker: 52 measured blendshapes per frame",
        "Apache-2.0",
        "ai.google.dev/edge/mediapipe (Face Landmarker)",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
    ModelFile(
        "face_parsing.pth",
        "face regions: BiSeNet parsing of hair, skin and clothes",
        "MIT",
        "github.com/zllrunning/face-parsing.PyTorch",
    ),
    ModelFile(
        "raft_small_C_T_V2-01064c6d.pth",
        "tracking: head poses steadied by RAFT-small's optical flow, in place of OpenCV's",
        "BSD-3-Clause",
        "the weights of torchvision's raft_small, C_T_V2",
        read_by=("services.preprocess.raft_small",),
    ),
    ModelFile(
        "unitalker.pt",
        "motion model: UniTalker, speech to FLAME in any voice",
        "Apache-2.0 code; licence of its data differs",
        "github.com/X-niper/UniTalker (UniTalker-B-[D0-D7] or UniTalker-L-[D0-D7])",
        read_by=("services.audio2motion.unitalker_parts.checkpoint",),
    ),
    ModelFile(
        "unitalker_data_release/vocaset/pca.npz",
        "motion model unitalker: its vertices in FLAME's topology (output D1)",
        "licence of VOCASET (non-commercial)",
        "github.com/X-niper/UniTalker (PCA models)",
        read_by=("services.audio2motion.unitalker_parts.components",),
    ),
    ModelFile(
        "audio_visual_encoder.pth",
        "audio encoder: AVE of SyncTalk",
        "CC BY-NC 4.0",
        "github.com/ZiqiaoPeng/SyncTalk",
        read_by=("shared.audio_encoders.ave",),
    ),
    ModelFile(
        "hubert-large-ls960-ft",
        "audio encoder: HuBERT (a folder: config.json and weights)",
        "Apache-2.0",
        "huggingface.co/facebook/hubert-large-ls960-ft",
        read_by=("shared.audio_encoders.hubert",),
    ),
    ModelFile(
        "wav2vec2-large-xlsr-53",
        "audio encoder: wav2vec 2.0, 53 languages (a folder: config.json and weights)",
        "Apache-2.0",
        "huggingface.co/facebook/wav2vec2-large-xlsr-53",
        read_by=("shared.audio_encoders.wav2vec2",),
    ),
    ModelFile(
        "wavlm-base-plus",
        "audio encoder: WavLM (a folder: config.json and weights)",
        "MIT",
        "huggingface.co/microsoft/wavlm-base-plus",
        read_by=("shared.audio_encoders.wavlm",),
    ),
    ModelFile(
        "deepspeech.onnx",
        "audio encoder: DeepSpeech 0.1.0, whose graph you converted to ONNX",
        "MPL-2.0",
        "github.com/mozilla/DeepSpeech (deepspeech-0_1_0-b90017e8.pb)",
        read_by=("shared.audio_encoders.deepspeech",),
    ),
    ModelFile(
        "deepspeech_features",
        "audio encoder: DeepSpeech, from features made elsewhere (a folder of NAME.wav, NAME.npy)",
        "that of the features",
        "github.com/YudongGuo/AD-NeRF (deepspeech_features)",
        read_by=("shared.audio_encoders.deepspeech",),
    ),
    ModelFile(
        "syncnet_v2.model",
        "metrics: LSE-C and LSE-D",
        "MIT code; weights for research",
        "www.robots.ox.ac.uk/~vgg/software/lipsync",
        read_by=("services.evaluator.networks.syncnet",),
    ),
    ModelFile(
        "sfd_face.pth",
        "metrics: the face detector (S3FD) that SyncNet expects",
        "MIT code; weights for research",
        "www.robots.ox.ac.uk/~vgg/software/lipsync",
        read_by=("services.evaluator.networks.s3fd",),
    ),
    ModelFile(
        "lpips_alex.pth",
        "metric: LPIPS, with the file below (published as lpips/weights/v0.1/alex.pth)",
        "BSD-2-Clause",
        "github.com/richzhang/PerceptualSimilarity",
        read_by=_LPIPS_READER,
    ),
    ModelFile(
        "alexnet-owt-7be5be79.pth",
        "metric: LPIPS's AlexNet",
        "BSD-3-Clause",
        "pytorch.org (torchvision's AlexNet)",
        read_by=_LPIPS_READER,
    ),
    ModelFile(
        "lpips_vgg.pth",
        "metric: LPIPS over VGG, with the file below (published as lpips/weights/v0.1/vgg.pth)",
        "BSD-2-Clause",
        "github.com/richzhang/PerceptualSimilarity",
        read_by=_LPIPS_READER,
    ),
    ModelFile(
        "vgg16-397923af.pth",
        "metric: LPIPS's VGG-16",
        "BSD-3-Clause",
        "pytorch.org (torchvision's VGG-16)",
        read_by=_LPIPS_READER,
    ),
    ModelFile(
        "arcface_r50.pth",
        "metric: identity (a backbone.pth of an IResNet-50, renamed)",
        "MIT code; weights for research",
        "github.com/deepinsight/insightface (arcface_torch model zoo)",
        read_by=("services.evaluator.networks.arcface",),
    ),
)


def find_model_files(models_dir: Path) -> list[FoundModelFile]:
    """Look up every row of the ledger in ``models_dir``; known checksums are compared."""
    return [FoundModelFile(file, _presence(models_dir / file.name, file)) for file in LEDGER]


def model_path(name: str, needed_by: str) -> Path:
    """Where a file or folder of the ledger lies in this process's models folder.

    Raises:
        MissingModel: ``missing_model_file`` says what it is and who publishes it.
    """
    models_dir = read_settings(os.environ).models_dir
    row = next(file for file in LEDGER if file.name == name)
    if not (models_dir / name).exists():
        raise MissingModel(
            "missing_model_file",
            f"{needed_by} needs {name} in TALKSPLAT_MODELS_DIR ({models_dir}); it is published at "
            f"{row.owner}, licence: {row.licence}",
        )
    return models_dir / name


def _presence(path: Path, file: ModelFile) -> Presence:
    if not path.exists():
        return "missing"
    if file.sha256 is None:
        return "present"
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return "present" if found == file.sha256 else "altered"
