"""Films the puppet: the demo's capture and speech, made of what the installed packages bring.

The capture is a video file like anybody's; stages that use it find the face by themselves. Beside
it lies ``truth.npz``, which only tests read.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from services.embedded.puppet.babble import Spoken, write_script
from services.embedded.puppet.drawing import Mesh, paint
from services.embedded.puppet.face_rig import (
    CAMERA_DISTANCE,
    FaceRig,
    Pose,
    build_rig,
    deform,
    move_head,
    project,
    swing_jaw,
)
from services.embedded.puppet.mouth import Mouth, build_mouth
from services.embedded.puppet.performance import perform
from services.embedded.puppet.photograph import TEXTURE_SIZE, Photograph, load_photograph
from services.embedded.puppet.speech_synthesis import SAMPLE_RATE, synthesise
from services.renderer.encode import Encoding, Speech, VideoWriter
from shared.media.audio import write_wav
from shared.progress import Progress

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FPS = 25
SIZE = 384
TRAINING_SECONDS = 12.0
HELDOUT_SECONDS = 3.0
SPEECH_SECONDS = 5.0
_SEED = 11
_TORSO_DEPTH = 60.0  # px behind the face
_NECK = (560.0, 470.0)  # rows where the torso begins and ends to follow the head


class DemoFiles(NamedTuple):
    """What ``film_demo`` writes."""

    capture: Path  # mp4, the last HELDOUT_SECONDS say what the rest does not
    speech: Path  # wav, something else again
    truth: Path  # npz, the puppet's own motion


class Stage(NamedTuple):
    """The puppet, ready to be filmed."""

    photograph: Photograph
    rig: FaceRig
    mouth: Mouth
    head: Mesh
    torso: Mesh
    torso_rest: F32  # [V, 3]
    neck_share: F32  # [V] of the head's motion


def demo_files(folder: Path) -> DemoFiles:
    """Where the files of the demo lie in ``folder``."""
    return DemoFiles(folder / "capture.mp4", folder / "speech.wav", folder / "truth.npz")


def film_demo(
    files: DemoFiles, progress: Progress, training_seconds: float = TRAINING_SECONDS
) -> None:
    """Write the capture, a speech to be spoken, and the truth."""
    files.capture.parent.mkdir(parents=True, exist_ok=True)
    trained = write_script(_SEED, training_seconds)
    heldout = write_script(_SEED + 1, HELDOUT_SECONDS, avoid=trained, start=training_seconds)
    script = (*trained, *heldout)
    progress(0.0, "synthesising speech")
    sound = files.capture.with_suffix(".wav")
    write_wav(sound, synthesise(script, _SEED), SAMPLE_RATE)
    speech = write_script(_SEED + 2, SPEECH_SECONDS, avoid=trained)
    write_wav(files.speech, synthesise(speech, _SEED + 2), SAMPLE_RATE)
    _film(script, sound, files, progress)
    sound.unlink()


def _film(script: tuple[Spoken, ...], sound: Path, files: DemoFiles, progress: Progress) -> None:
    n_frames = round((script[-1].start + script[-1].seconds) * FPS)
    stage = set_stage()
    poses, torso = perform(script, n_frames, FPS, _SEED)
    landmarks = np.empty((n_frames, len(stage.photograph.landmarks), 2), np.float32)
    encoding = Encoding(SIZE, SIZE, FPS, preset="veryfast", crf=12, has_alpha=False)
    with VideoWriter(files.capture, encoding, Speech(sound, 0.0)) as video:
        for frame, (pose, shift) in enumerate(zip(poses, torso, strict=True)):
            picture, landmarks[frame] = draw_frame(stage, pose, (float(shift[0]), float(shift[1])))
            video.write(picture)
            progress((frame + 1) / n_frames, "filming the puppet")
    np.savez(
        files.truth,
        jaw=np.array([pose.jaw for pose in poses], np.float32),
        blink=np.array([pose.blink for pose in poses], np.float32),
        rotation=np.array([pose.rotation for pose in poses], np.float32),
        translation=np.array([pose.translation for pose in poses], np.float32),
        landmarks=landmarks,
    )


def set_stage() -> Stage:
    """Build everything that does not change from frame to frame."""
    photograph = load_photograph()
    rig = build_rig(photograph.landmarks)
    torso_rest, torso = _torso_mesh(photograph)
    share = np.clip((_NECK[0] - torso_rest[:, 1]) / (_NECK[0] - _NECK[1]), 0, 1)
    return Stage(
        photograph=photograph,
        rig=rig,
        mouth=build_mouth(photograph.texture, photograph.landmarks),
        head=Mesh(rig.triangles, rig.uv, photograph.head),
        torso=torso,
        torso_rest=torso_rest,
        neck_share=(0.75 * share * share * (3 - 2 * share)).astype(np.float32),
    )


def draw_frame(stage: Stage, pose: Pose, torso_shift: tuple[float, float]) -> tuple[U8, F32]:
    """One picture [SIZE, SIZE, 3] and the true landmarks in it [468, 2] px."""
    rig, center = stage.rig, TEXTURE_SIZE / 2
    canvas = stage.photograph.plate.copy()
    torso = move_head(rig, stage.torso_rest, pose, stage.neck_share)
    torso[:, :2] += (1 - stage.neck_share[:, None]) * np.array(torso_shift, np.float32)
    paint(canvas, stage.torso, project(torso, center), torso[:, 2])
    for patch, is_jaw in zip(stage.mouth, (False, True, False), strict=True):
        inside = move_head(rig, swing_jaw(rig, patch.rest, pose) if is_jaw else patch.rest, pose)
        paint(canvas, patch.mesh, project(inside, center), inside[:, 2])
    face = move_head(rig, deform(rig, pose), pose)
    points = project(face, center)
    paint(canvas, stage.head, points, face[:, 2])
    small = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    picture = np.clip(np.rint(small * 255), 0, 255).astype(np.uint8)
    n_landmarks = len(stage.photograph.landmarks)
    return picture, points[:n_landmarks] * (SIZE / TEXTURE_SIZE)


def _torso_mesh(photograph: Photograph) -> tuple[F32, Mesh]:
    """A grid over the lower part of the picture, a little wider than it."""
    step = 24.0
    columns = np.arange(-step, TEXTURE_SIZE + 2 * step, step, dtype=np.float32)
    rows = np.arange(TEXTURE_SIZE - 15 * step, TEXTURE_SIZE + 2 * step, step, dtype=np.float32)
    x, y = np.meshgrid(columns, rows)
    rest = np.stack([x, y, np.full_like(x, _TORSO_DEPTH)], -1).reshape(-1, 3)
    index = np.arange(x.size).reshape(x.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    corners = [np.stack([a, b, c], -1), np.stack([b, d, c], -1)]
    triangles = np.concatenate([part.reshape(-1, 3) for part in corners]).astype(np.int32)
    uv = rest[:, :2].clip(0.5, TEXTURE_SIZE - 0.5)  # beyond the edge the last pixels repeat
    # The torso stands behind the picture plane; at rest it must still cover its own pixels.
    center = TEXTURE_SIZE / 2
    rest[:, :2] = center + (rest[:, :2] - center) * (1 + _TORSO_DEPTH / CAMERA_DISTANCE)
    return rest, Mesh(triangles, uv, photograph.torso)
