"""SyncNet against a plain reference: layers one by one, MFCC and distances in loops.

The reference imports nothing of ours: it follows the layer table and the definitions of
joonson/syncnet_python as the facts have them.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, conv3d, max_pool2d, max_pool3d

from services.evaluator.lip_sync.distances import sync_distances
from services.evaluator.lip_sync.measure import embed_lips, embed_sound
from services.evaluator.lip_sync.mfcc import sync_mfcc
from services.evaluator.networks.syncnet import SyncNet
from tests.published_parameters import State, random_state

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def norm(x: Tensor, s: State, key: str) -> Tensor:
    """Batch normalisation with stored statistics, then ReLU."""
    scale = s[f"{key}.weight"] / torch.sqrt(s[f"{key}.running_var"] + 1e-5)
    shape = (1, -1) + (1,) * (x.dim() - 2)
    y = (x - s[f"{key}.running_mean"].view(shape)) * scale.view(shape)
    return torch.clamp(y + s[f"{key}.bias"].view(shape), min=0)


def plain_head(x: Tensor, s: State, key: str) -> Tensor:
    """Two linear layers. [B, 512] -> [B, 1024]"""
    x = norm(x @ s[f"{key}.0.weight"].T + s[f"{key}.0.bias"], s, f"{key}.1")
    return x @ s[f"{key}.3.weight"].T + s[f"{key}.3.bias"]


def plain_sound(x: Tensor, s: State) -> Tensor:
    """[B, 1, 13, 20] -> [B, 1024]"""
    k = "netcnnaud"
    for layer, padding, pool in (
        (0, 1, None),
        (4, 1, (3, (1, 2))),
        (8, 1, None),
        (11, 1, None),
        (14, 1, (3, (2, 2))),
        (18, 0, None),
    ):
        x = conv2d(x, s[f"{k}.{layer}.weight"], s[f"{k}.{layer}.bias"], padding=padding)
        x = norm(x, s, f"{k}.{layer + 1}")
        if pool:
            x = max_pool2d(x, *pool)
    return plain_head(x.flatten(1), s, "netfcaud")


def plain_lips(x: Tensor, s: State) -> Tensor:
    """Windows of five faces. [B, 3, 5, 224, 224] -> [B, 1024]"""
    k = "netcnnlip"
    for layer, stride, padding, pool in (
        (0, 2, 0, 0),
        (4, 2, 1, 1),
        (8, 1, 1, None),
        (11, 1, 1, None),
        (14, 1, 1, 0),
        (18, 1, 0, None),
    ):
        weight, bias = s[f"{k}.{layer}.weight"], s[f"{k}.{layer}.bias"]
        x = conv3d(x, weight, bias, (1, stride, stride), (0, padding, padding))
        x = norm(x, s, f"{k}.{layer + 1}")
        if pool is not None:
            x = max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, pool, pool))
    return plain_head(x.flatten(1), s, "netfclip")


def plain_mfcc(samples: NDArray[np.int16]) -> F64:
    """python_speech_features.mfcc with its defaults, window by window. [n] -> [N, 13]"""
    signal = [float(samples[0])]
    signal += [float(b) - 0.97 * float(a) for a, b in pairwise(samples)]
    n_windows = 1 + max(0, math.ceil((len(signal) - 400) / 160))
    signal += [0.0] * (n_windows * 160 + 400 - len(signal))

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    tops = [700 * (10 ** (mel(8000) * i / 27 / 2595) - 1) for i in range(28)]
    bins = [math.floor(513 * top / 16000) for top in tops]
    rows = []
    for w in range(n_windows):
        spectrum = np.fft.rfft(np.array(signal[w * 160 : w * 160 + 400]), 512)
        power = np.abs(spectrum) ** 2 / 512
        logs = []
        for j in range(26):
            energy = 0.0
            for i in range(bins[j], bins[j + 1]):
                energy += power[i] * (i - bins[j]) / (bins[j + 1] - bins[j])
            for i in range(bins[j + 1], bins[j + 2]):
                energy += power[i] * (bins[j + 2] - i) / (bins[j + 2] - bins[j + 1])
            logs.append(math.log(energy or np.finfo(float).eps))
        row = []
        for c in range(13):
            total = sum(v * math.cos(math.pi * c * (2 * j + 1) / 52) for j, v in enumerate(logs))
            row.append(total * math.sqrt((1 if c == 0 else 2) / 26))
        row = [v * (1 + 11 * math.sin(math.pi * c / 22)) for c, v in enumerate(row)]
        row[0] = math.log(power.sum() or np.finfo(float).eps)
        rows.append(row)
    return np.array(rows)


@pytest.fixture(scope="module")
def state() -> State:
    """Random weights of the published layout."""
    return random_state("syncnet_v2")


@pytest.fixture(scope="module")
def network(state: State) -> SyncNet:
    """Ours with these weights."""
    network = SyncNet().eval()
    network.load_state_dict(state, strict=False)
    return network


def test_lips_are_embedded_as_by_the_plain_network(network: SyncNet, state: State) -> None:
    """Sliding over a sequence is the same as window after window."""
    faces = torch.rand(6, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    windows = torch.stack([faces[i : i + 5].transpose(0, 1) for i in range(2)])

    with torch.inference_mode():
        found = network.embed_lips(faces)

    torch.testing.assert_close(found, plain_lips(windows, state), atol=1e-5, rtol=1e-5)


def test_sound_is_embedded_as_by_the_plain_network(network: SyncNet, state: State) -> None:
    """Windows of 20 columns."""
    mfcc = torch.randn(3, 1, 13, 20, generator=torch.Generator().manual_seed(2))

    with torch.inference_mode():
        found = network.embed_sound(mfcc)

    torch.testing.assert_close(found, plain_sound(mfcc, state), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_samples", [100, 400, 3200, 3333])
def test_mfcc_is_python_speech_features(n_samples: int) -> None:
    """Of 16-bit integers, the last window filled with zeros, silence included."""
    rng = np.random.default_rng(3)
    samples = rng.integers(-9000, 9000, n_samples).astype(np.int16)
    samples[n_samples // 2 : n_samples // 2 + 900] = 0

    found = sync_mfcc((samples / 32768).astype(np.float32))

    np.testing.assert_allclose(found.T, plain_mfcc(samples), rtol=1e-5, atol=1e-5)


def test_distances_are_those_of_the_definition() -> None:
    """31 shifts over zeros, means, median and least, in loops."""
    rng = np.random.default_rng(4)
    sound = rng.normal(size=(40, 8))
    lips = np.roll(sound, -3, axis=0) + rng.normal(0, 0.05, sound.shape)  # sound 3 frames late
    padded = np.concatenate([np.zeros((15, 8)), sound, np.zeros((15, 8))])
    means = [
        np.mean([math.dist(lips[i] + 1e-6, padded[i + shift]) for i in range(40)])
        for shift in range(31)
    ]

    found = sync_distances(torch.from_numpy(lips), torch.from_numpy(sound))

    assert min(means) == pytest.approx(found.distance, abs=1e-5)
    assert sorted(means)[15] - min(means) == pytest.approx(found.confidence, abs=1e-5)
    assert 15 - int(np.argmin(means)) == found.offset_frames == -3
    np.testing.assert_allclose(found.by_shift, means, atol=1e-5)
    assert (40,) == found.by_frame.shape


def test_a_clip_is_embedded_window_by_window(network: SyncNet, state: State) -> None:
    """Frame f hears columns 4 f to 4 f + 19 and sees frames f to f + 4, in BGR from 0 to 255."""
    rng = np.random.default_rng(5)
    faces = rng.integers(0, 255, (8, 224, 224, 3), dtype=np.uint8)
    samples = rng.integers(-9000, 9000, 8 * 640).astype(np.int16)
    mfcc = torch.from_numpy(plain_mfcc(samples).T).float()
    picture = torch.from_numpy(faces[2:7, :, :, ::-1].copy()).permute(3, 0, 1, 2)[None].float()

    lips = embed_lips(network, iter(faces), 3)
    sound = embed_sound(network, (samples / 32768).astype(np.float32), 3)

    expected = plain_lips(picture, state)[0]
    scale = float(expected.abs().max())
    torch.testing.assert_close(lips[2] / scale, expected / scale, atol=1e-5, rtol=1e-5)
    expected = plain_sound(mfcc[None, None, :, 8:28], state)[0]
    scale = float(expected.abs().max())
    torch.testing.assert_close(sound[2] / scale, expected / scale, atol=1e-5, rtol=1e-5)
    assert 3 == len(lips) == len(sound)
