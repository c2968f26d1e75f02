"""Gaussian process regression from windows of sound to motion, made for very little data.

What speech explains is one kernel on windows of audio features (linear plus squared
exponential); what it does not explain is another on time alone: a slow drift, the quick wander
of a face and white noise. Neighbouring frames err alike, and a model that knows so is not
misled by ten seconds of them. Hyperparameters maximise the marginal likelihood under weak
priors, so no data is set aside. Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, chapters 2 and 5.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from shared.progress import Progress

N_BAND_GROUPS = 6
"""Neighbouring bands share one weight."""
_JITTER = 1e-4
_STEPS = 60
_LEARNING_RATE = 0.1

# Priors: mean and standard deviation. Times in seconds, everything but "lag" is a logarithm.
_PRIORS: Mapping[str, tuple[float, float]] = {
    "lag": (0.06, 0.04),  # lips lead the sound they shape
    "log_width": (-2.5, 0.4),  # 80 ms around it
    "log_band_weights": (0.0, 0.7),
    "log_length_scale": (0.0, 0.7),
    "log_drift_time": (0.7, 0.5),  # 2 s
    "log_wander_time": (-2.5, 0.4),  # 80 ms
    "log_linear": (-1.6, 1.0),  # shares of a variance of one
    "log_smooth": (-1.6, 1.0),
    "log_drift": (-2.3, 1.0),
    "log_wander": (-1.2, 1.0),
    "log_noise": (-3.0, 1.0),
}


class Examples(NamedTuple):
    """Training frames of one capture."""

    windows: Tensor
    """Audio features around each frame. [N, L, C] float64"""
    offsets: Tensor
    """Seconds from the frame to each row of its window. [L]"""
    times: Tensor
    """Seconds of each frame. [N]"""
    targets: Tensor
    """Mean zero, variance one. [N, K]"""


class SpeechKernel(NamedTuple):
    """What is needed to compare sounds."""

    weights: Tensor
    """Of each value of a window, summing to one. [L, C]"""
    length_scale: Tensor
    linear: Tensor
    """Variance of each target's linear part. [K]"""
    smooth: Tensor
    """Variance of each target's squared exponential part. [K]"""


Hyperparameters = dict[str, Tensor]


def fit_kernel(examples: Examples, progress: Progress) -> Hyperparameters:
    """Maximise the posterior of the hyperparameters by Adam; deterministic."""
    n_targets = examples.targets.shape[1]
    sizes = {"lag": (), "log_width": (), "log_length_scale": (), "log_drift_time": ()}
    shapes = {name: sizes.get(name, (n_targets,)) for name in _PRIORS}
    shapes["log_band_weights"] = (N_BAND_GROUPS,)
    scaled = {
        name: torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        for name, shape in shapes.items()
    }  # in standard deviations of the priors
    optimizer = torch.optim.Adam(scaled.values(), lr=_LEARNING_RATE)
    for step in range(_STEPS):
        optimizer.zero_grad()
        loss = _negative_log_posterior(_unscaled(scaled), scaled, examples)
        loss.backward()
        optimizer.step()
        progress((step + 1) / _STEPS, "learning how speech moves the mouth")
    return {name: value.detach() for name, value in _unscaled(scaled).items()}


def solve(examples: Examples, parameters: Hyperparameters) -> tuple[SpeechKernel, Tensor]:
    """The kernel and each example's weight in a prediction. [N, K]"""
    kernel = _speech_kernel(examples, parameters)
    likeness = compare(kernel, examples.windows, examples.windows)
    weights = [
        torch.cholesky_solve(
            examples.targets[:, k : k + 1],
            torch.linalg.cholesky(_covariance(kernel, parameters, likeness, examples.times, k)),
        )
        for k in range(examples.targets.shape[1])
    ]
    return kernel, torch.cat(weights, dim=1)


def posterior_mean(
    kernel: SpeechKernel, likeness: tuple[Tensor, Tensor], weights: Tensor
) -> Tensor:
    """Posterior mean of the part that speech explains.

    Args:
        kernel: The fitted kernel.
        likeness: ``compare`` of new windows with the examples. [M, N] twice
        weights: What ``solve`` returned. [N, K]

    Returns:
        Targets of the new windows. [M, K]
    """
    linear, smooth = likeness
    return linear @ (weights * kernel.linear) + smooth @ (weights * kernel.smooth)


def compare(kernel: SpeechKernel, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Linear and squared exponential likeness of windows. [M, L, C], [N, L, C] -> [M, N] twice"""
    root = kernel.weights.sqrt()
    a_flat, b_flat = (a * root).flatten(1), (b * root).flatten(1)
    linear = a_flat @ b_flat.T
    norms = a_flat.square().sum(1)[:, None] + b_flat.square().sum(1)
    distances = (norms - 2 * linear).clamp_min(0)
    return linear, torch.exp(-0.5 * distances / kernel.length_scale**2)


def _unscaled(scaled: Hyperparameters) -> Hyperparameters:
    return {name: mean + deviation * scaled[name] for name, (mean, deviation) in _PRIORS.items()}


def _speech_kernel(examples: Examples, parameters: Hyperparameters) -> SpeechKernel:
    distance = (examples.offsets - parameters["lag"]) / parameters["log_width"].exp()
    lags = torch.softmax(-0.5 * distance.square(), dim=0)  # [L]
    n_channels = examples.windows.shape[2]
    groups = torch.arange(n_channels) * N_BAND_GROUPS // n_channels
    bands = torch.softmax(parameters["log_band_weights"][groups], dim=0)  # [C]
    return SpeechKernel(
        weights=lags[:, None] * bands,
        length_scale=parameters["log_length_scale"].exp(),
        linear=parameters["log_linear"].exp(),
        smooth=parameters["log_smooth"].exp(),
    )


def _covariance(
    kernel: SpeechKernel,
    parameters: Hyperparameters,
    likeness: tuple[Tensor, Tensor],
    times: Tensor,
    target: int,
) -> Tensor:
    """Of one target over all examples. [N, N]"""
    linear, smooth = likeness
    squared = (times[:, None] - times).square()
    drift = torch.exp(-0.5 * squared / parameters["log_drift_time"].exp() ** 2)
    wander = torch.exp(-0.5 * squared / parameters["log_wander_time"][target].exp() ** 2)
    noise = parameters["log_noise"][target].exp() + _JITTER
    return (
        kernel.linear[target] * linear
        + kernel.smooth[target] * smooth
        + parameters["log_drift"][target].exp() * drift
        + parameters["log_wander"][target].exp() * wander
        + noise * torch.eye(len(times), dtype=times.dtype)
    )


def _negative_log_posterior(
    parameters: Hyperparameters, scaled: Hyperparameters, examples: Examples
) -> Tensor:
    """Of the hyperparameters given the examples, without constants."""
    kernel = _speech_kernel(examples, parameters)
    likeness = compare(kernel, examples.windows, examples.windows)
    total = torch.stack([0.5 * value.square().sum() for value in scaled.values()]).sum()
    for target in range(examples.targets.shape[1]):
        covariance = _covariance(kernel, parameters, likeness, examples.times, target)
        factor = torch.linalg.cholesky(covariance)
        column = examples.targets[:, target : target + 1]
        whitened = torch.linalg.solve_triangular(factor, column, upper=False)
        total = total + 0.5 * whitened.square().sum() + factor.diagonal().log().sum()
    return total
