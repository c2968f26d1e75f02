"""The head model's mesh as it moves: one OBJ or glTF file per frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
import trimesh
from torch import Tensor

from shared.avatar_method import Subject
from shared.head_model import HeadPose
from shared.progress import Progress
from shared.rigging.body import fit_body_rule, follow_head
from shared.rigging.mesh_motion import move_mesh
from shared.rigging.rig import build_rig, head_track

MeshFormat = Literal["obj", "glb"]


def write_meshes(
    subject: Subject, motion: HeadPose, out: Path, kind: MeshFormat, progress: Progress
) -> int:
    """Write ``000000.obj`` (or ``.glb``) and so on, in metres; how many there are is returned."""
    out.mkdir(parents=True, exist_ok=True)
    n_frames = len(motion.expr)
    for frame, vertices in enumerate(posed_meshes(subject, motion)):
        mesh = trimesh.Trimesh(vertices.numpy(), subject.head_model.faces.numpy(), process=False)
        mesh.export(out / f"{frame:06d}.{kind}", file_type=kind)
        progress((frame + 1) / n_frames, "writing meshes")
    return n_frames


def posed_meshes(subject: Subject, motion: HeadPose) -> Iterator[Tensor]:
    """Vertices of each frame; the torso follows the head as it did in the capture. [V, 3]"""
    rig = build_rig(subject)
    rule = fit_body_rule(head_track(subject.training_pose), subject.training_body)
    bodies = follow_head(rule, head_track(motion))
    with torch.no_grad():
        for frame, body in enumerate(bodies):
            still = HeadPose(*(values[frame : frame + 1] for values in motion))
            yield move_mesh(subject.head_model, rig.neutral, rig.torso, still, body).vertices
