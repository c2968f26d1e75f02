"""How deep face and hair lie, from how their pixels shift against each other as the head turns."""

import numpy as np
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit
from services.preprocess.head_texture import Frames, Head, build_texture, seen_in
from services.preprocess.photometric_kernels import CAUCHY_SCALE, brightness

Floats = NDArray[np.float64]

MAX_DEPTH_FRAMES = 120
DEPTH_STRENGTH = 300.0
"""Weight of the unit-sigma prior on depth: neighbouring points and frames share their errors."""
MAX_SIGMA = 5.0


def adjusted_depth(head: Head, frames: Frames, by_depth: Floats, depth: Floats) -> Floats:
    """One Gauss-Newton step of the depth modes, all poses and the texture together.

    The texture is eliminated by centring each point's numbers over the frames, the poses by
    their Schur complement.

    Args:
        head: Points and camera.
        frames: Training frames.
        by_depth: Depth of each point per mode. [P, M]
        depth: Current coefficients. [M]
    """
    picked = range(0, len(frames.greys), max(1, -(-len(frames.greys) // MAX_DEPTH_FRAMES)))
    texture = build_texture(head, frames, 1)
    error, weight, slope, by_pose = [], [], [], []
    for index in picked:
        seen = seen_in(head, frames, index, 1)
        gain, offset = brightness(texture.grey, seen, texture.trust)
        residual = gain * texture.grey + offset - seen[:, 3]
        trusted = seen[:, 7] * texture.trust
        error.append(residual)
        weight.append(trusted / (1 + trusted * residual**2 / CAUCHY_SCALE))
        slope.append(seen[:, 4:7] @ frames.turn[index][:, 2])
        lever = seen[:, :3] - seen[:, :3].mean(0)
        lit = -np.stack([texture.grey, np.ones_like(residual)], axis=1)
        by_pose.append(np.concatenate([np.cross(lever, seen[:, 4:7]), seen[:, 4:7], lit], axis=1))
    share = np.array(weight)
    share /= np.maximum(share.sum(0), 1e-12)
    mean_error, mean_slope = (share * error).sum(0), (share * slope).sum(0)
    normal = DEPTH_STRENGTH * np.eye(len(depth))
    right = -DEPTH_STRENGTH * depth
    prior = np.diag(np.append(head.strength, [1e-9, 1e-9]))
    for residual, trusted, along, pose in zip(error, weight, slope, by_pose, strict=True):
        deep = (along - mean_slope)[:, None] * by_depth
        cross = pose.T @ (trusted[:, None] * deep)
        weighted = trusted * (residual - mean_error)
        own = pose.T @ (trusted[:, None] * pose) + prior
        solved = np.linalg.solve(own, np.column_stack([cross, pose.T @ weighted]))
        normal += deep.T @ (trusted[:, None] * deep) - cross.T @ solved[:, :-1]
        right += deep.T @ weighted - cross.T @ solved[:, -1]
    return np.clip(depth + np.linalg.solve(normal, right), -MAX_SIGMA, MAX_SIGMA)


def with_depth(fit: HeadFit, modes: Floats, depth: Floats) -> HeadFit:
    """The fit with that depth; the change becomes a shape coefficient of one."""
    model = fit.head_model
    moved = torch.zeros_like(model.template)
    moved[:, 2] = torch.from_numpy(depth @ modes).float()
    joints = model.joints.clone()
    for joint, iris in ((3, 473), (4, 468)):
        joints[joint] += moved[model.landmark_vertices[iris]]
    model = model._replace(shape_basis=torch.cat([model.shape_basis, moved[None]]), joints=joints)
    return fit._replace(head_model=model, shape=torch.cat([fit.shape, torch.ones(1)]))
