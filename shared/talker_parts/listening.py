"""Teaches a hearing what lips look like before the training: few seconds cannot do both at once.

The sources hear through encoders that were trained on hundreds of hours (DeepSpeech, HuBERT, AVE).
With plain spectra the audio network would have to learn speech from the pictures of ten seconds;
so it first learns to tell the tracked lips of the training frames, with shifted and noisy sound,
and stops early. While the picture is trained it stays as it is.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import Subject
from shared.compute import one_thread
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.landmarks import LIPS
from shared.talker_parts.audio_nets import N_AUDIO, Hearing

N_STEPS = 120
"""On 10 s of May the error of unseen lips is lowest between 100 and 200 steps."""
BATCH = 256
RATE = 2e-3
DECAY = 1e-2
NOISE = 0.3
"""Of the features' deviation."""
MAX_SHIFT = 4
"""Rows, 40 ms either way: tracking and sound agree no better."""
N_CODES = 8
PICTURE_RATE = 0.0
"""Adam's rate while the picture is trained. A hearing that goes on learning knows the training
frames by heart: gaussian_talker at preset draft on May left the unseen lips 2.37 px off at 2e-4,
with a correlation of opening of 0.28, and 2.19 px and 0.39 at none."""


def learn_lips(hearing: Hearing, subject: Subject, seed: int) -> None:
    """Train ``hearing`` to tell the training frames' lip shapes; a linear read-out is dropped."""
    with one_thread():
        _learn_lips(hearing, subject, seed)


def _learn_lips(hearing: Hearing, subject: Subject, seed: int) -> None:
    audio = subject.training_performance.audio
    assert audio is not None
    codes = lip_codes(subject)
    generator = torch.Generator().manual_seed(seed)
    reading = nn.Linear(N_AUDIO, codes.shape[1])
    optimizer = torch.optim.AdamW(
        [*hearing.parameters(), *reading.parameters()], lr=RATE, weight_decay=DECAY
    )
    n_rows = audio.shape[1]
    spread = audio.std().clamp_min(1e-6)
    for _ in range(N_STEPS):
        frames = torch.randperm(len(audio), generator=generator)[:BATCH]
        shift = int(torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (), generator=generator))
        rows = audio[frames][:, (torch.arange(n_rows) + shift).clamp(0, n_rows - 1)]
        noise = torch.randn(rows.shape, generator=generator)
        error = reading(hearing(rows + NOISE * spread * noise)) - codes[frames]
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    for parameter in hearing.parameters():
        parameter.grad = None


def lip_codes(subject: Subject) -> Tensor:
    """Main components of the training frames' lips, the first of deviation 1. [T, 8]"""
    pose, model = subject.training_pose, subject.head_model
    chosen = model.landmark_vertices[list(LIPS)]
    lips = model._replace(
        template=model.template[chosen],
        shape_basis=model.shape_basis[:, chosen],
        expr_basis=model.expr_basis[:, chosen],
        weights=model.weights[chosen],
    )
    still = HeadPose(
        expr=pose.expr,
        rotation=torch.zeros_like(pose.rotation),
        neck_pose=torch.zeros_like(pose.neck_pose),
        jaw_pose=pose.jaw_pose,
        eyes_pose=torch.zeros_like(pose.eyes_pose),
        translation=torch.zeros_like(pose.translation),
    )
    shapes = pose_vertices(lips, neutral_vertices(lips, subject.shape), still).flatten(1)
    shapes = shapes - shapes.mean(0)
    components = torch.linalg.svd(shapes, full_matrices=False)[2][:N_CODES]
    codes = shapes @ components.T
    return codes / codes[:, 0].std().clamp_min(1e-8)
