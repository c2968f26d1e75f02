"""MediaPipe's face mesh with irises and its face detector, as bundled in the wheel.

Runs on the CPU at about 170 frames per second and gives equal results for equal frames.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mediapipe as mp
import numpy as np
from numpy.typing import NDArray

from shared.native_output import quiet_stderr
from shared.tracker import FaceBox

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Graph = Callable[[U8], Any]
"""Processes one RGB frame; MediaPipe has no types."""

MIN_CONFIDENCE = 0.5
_FULL_RANGE = 1
_LARGE_PX = 720
_TILE_SHARE = 0.6  # of the shorter side
_SURROUNDINGS = 2.5  # of the face box; the mesh's own detector wants a face that fills its picture


def detect_faces(frames: Iterable[U8]) -> Iterator[list[FaceBox]]:
    """Yield all faces of each frame, the largest first (see ``shared.tracker``)."""
    with _started(_new_detector()) as detect:
        for frame in frames:
            yield _boxes(detect, frame)


def track_landmarks(frames: Iterable[U8]) -> Iterator[F32 | None]:
    """Yield the landmarks of the face in each frame (see ``shared.tracker``).

    The mesh finds a face by itself only when it is large in the frame; where it finds none, the
    full-range detector looks, and the mesh is run on that face's surroundings.
    """
    with (
        _started(_new_mesh(is_static=False)) as mesh,
        _started(_new_mesh(is_static=True)) as close_up,
        _started(_new_detector()) as detect,
    ):
        for frame in frames:
            landmarks = _landmarks(mesh, frame)
            yield _look_closer(close_up, detect, frame) if landmarks is None else landmarks


def _look_closer(close_up: Graph, detect: Graph, frame: U8) -> F32 | None:
    """Run the mesh on the surroundings of the largest face that the detector finds."""
    boxes = _boxes(detect, frame)
    if not boxes:
        return None
    half = int(max(boxes[0].width, boxes[0].height) * _SURROUNDINGS / 2)
    left = max(int(boxes[0].left + boxes[0].width / 2) - half, 0)
    top = max(int(boxes[0].top + boxes[0].height / 2) - half, 0)
    part = np.ascontiguousarray(frame[top : top + 2 * half, left : left + 2 * half])
    landmarks = _landmarks(close_up, part) if part.size else None
    return None if landmarks is None else landmarks + np.array([left, top, 0], dtype=np.float32)


def _new_detector() -> Callable[[], Any]:
    return lambda: mp.solutions.face_detection.FaceDetection(
        model_selection=_FULL_RANGE, min_detection_confidence=MIN_CONFIDENCE
    )


def _new_mesh(*, is_static: bool) -> Callable[[], Any]:
    return lambda: mp.solutions.face_mesh.FaceMesh(
        static_image_mode=is_static,
        max_num_faces=1,
        refine_landmarks=True,
        min_detection_confidence=MIN_CONFIDENCE,
        min_tracking_confidence=MIN_CONFIDENCE,
    )


@contextmanager
def _started(new: Callable[[], Any]) -> Iterator[Graph]:
    """Start a MediaPipe graph, quiet until it has found its first face."""
    with quiet_stderr():
        graph = new()
        graph.process(np.zeros((64, 64, 3), np.uint8))  # Its threads write notes until then.
    has_found = False

    def process(frame: U8) -> Any:  # noqa: ANN401
        nonlocal has_found
        if has_found:
            return graph.process(frame)
        with quiet_stderr():
            found = graph.process(frame)
        has_found = any(getattr(found, name) for name in found._fields)  # a NamedTuple
        return found

    try:
        yield process
    finally:
        graph.close()


def _landmarks(mesh: Graph, frame: U8) -> F32 | None:
    faces = mesh(frame).multi_face_landmarks
    if not faces:
        return None
    height, width = frame.shape[:2]
    points = np.array([(p.x, p.y, p.z) for p in faces[0].landmark], dtype=np.float32)
    return points * np.array([width, height, width], dtype=np.float32)  # [478, 3]


def _boxes(detect: Graph, frame: U8) -> list[FaceBox]:
    """Faces of a frame; parts of a large one are searched when the whole shows none.

    The detector shrinks its picture to 192 pixels, in which a small face of a large frame is lost.
    """
    boxes = _boxes_in(detect, frame, 0, 0)
    if not boxes and min(frame.shape[:2]) >= _LARGE_PX:
        side = int(_TILE_SHARE * min(frame.shape[:2]))
        for top in _tile_starts(frame.shape[0], side):
            for left in _tile_starts(frame.shape[1], side):
                part = np.ascontiguousarray(frame[top : top + side, left : left + side])
                boxes += _boxes_in(detect, part, left, top)
        boxes = _without_repeats(boxes)
    return sorted(boxes, key=lambda box: -box.width * box.height)


def _boxes_in(detect: Graph, part: U8, left: int, top: int) -> list[FaceBox]:
    """Faces of a part of a frame, in the frame's pixels."""
    height, width = part.shape[:2]
    boxes = []
    for face in detect(part).detections or []:
        box = face.location_data.relative_bounding_box
        boxes.append(
            FaceBox(
                left=left + box.xmin * width,
                top=top + box.ymin * height,
                width=box.width * width,
                height=box.height * height,
                score=face.score[0],
            )
        )
    return boxes


def _tile_starts(length: int, side: int) -> list[int]:
    """Where tiles begin that overlap by half and cover ``length``."""
    n_tiles = int(np.ceil((length - side) / (side / 2))) + 1
    return [int(start) for start in np.linspace(0, length - side, n_tiles)]


def _without_repeats(boxes: list[FaceBox]) -> list[FaceBox]:
    """The surest box of each face: one whose centre lies in a surer one is the same face."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        x, y = box.left + box.width / 2, box.top + box.height / 2
        is_new = all(
            not (k.left < x < k.left + k.width and k.top < y < k.top + k.height) for k in kept
        )
        if is_new:
            kept.append(box)
    return kept
