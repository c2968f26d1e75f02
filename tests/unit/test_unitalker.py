"""UniTalker: the published checkpoint and no other, its numbers, and a face that follows them."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.audio2motion.unitalker_parts import checkpoint
from services.audio2motion.unitalker_parts.network import UniTalker
from services.audio2motion.unitalker_parts.outputs import N_STYLES
from services.audio2motion.unitalker_parts.windows import WindowedSpeech, predict_whole
from shared.errors import InvalidInput
from tests.published_files import make_state, published_shapes

F32 = NDArray[np.float32]
STYLE = "decoder.learnable_style_emb.weight"
NORM = "audio_encoder.encoder.pos_conv_embed.conv."


class Told(NamedTuple):
    """What speech transformers return."""

    last_hidden_state: Tensor


class Hearing(nn.Module):
    """A speech transformer's place: one convolution, fifty rows a second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, 12, 400, stride=320)

    def forward(self, samples: Tensor) -> Told:
        """[B, n] -> [B, rows, 12]"""
        return Told(torch.tanh(self.stem(samples[:, None])).transpose(1, 2))


def make_network() -> UniTalker:
    """The published decoder over a small hearing, with random parameters."""
    torch.manual_seed(4)
    network = UniTalker(Hearing(), 12, {"face": 7}, N_STYLES).eval()
    return network.requires_grad_(requires_grad=False)


def make_sound(seconds: float) -> F32:
    """Noise that swells and fades."""
    times = np.arange(round(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(6).standard_normal(times.size)
    return np.asarray(0.1 * noise * np.sin(3 * times) ** 2, np.float32)


def plain_values(state: dict[str, Tensor], sound: F32, style: int, n_frames: int) -> F32:
    """One window by the definition: level, hearing, interpolation, three blocks, head. [T, 7]"""
    samples = torch.tensor((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))
    weight, bias = state["audio_encoder.stem.weight"], state["audio_encoder.stem.bias"]
    heard = torch.tanh(functional.conv1d(samples[None, None], weight, bias, stride=320))[0].T
    step = np.float32((len(heard) - 1) / max(n_frames - 1, 1))  # places are single precision there
    places = np.arange(n_frames, dtype=np.float32) * step
    below = np.minimum(places.astype(int), len(heard) - 2)
    share = torch.tensor(places - below, dtype=torch.float32)[:, None]
    x = heard[below] * (1 - share) + heard[below + 1] * share
    said = x @ state["decoder.audio_feature_map.weight"].T + state["decoder.audio_feature_map.bias"]
    y = torch.cat([said, state[STYLE][style].expand(n_frames, -1)], dim=1).T[None]  # [1, 320, T]
    for k in range(3):
        name = f"decoder.tcn.first_net.conv_layers.{k}."
        z = functional.conv1d(y, state[name + "conv.weight"], state[name + "conv.bias"], padding=1)
        z = z - z.mean(dim=1, keepdim=True)
        z = z / torch.sqrt(z.square().mean(dim=1, keepdim=True) + 1e-5)
        z = z * state[name + "norm.weight"][:, None] + state[name + "norm.bias"][:, None]
        if k == 0:
            wide = state[name + "residual_layer.0.weight"]
            y = functional.conv1d(y, wide, state[name + "residual_layer.0.bias"], padding=1)
        y = torch.clamp(z + y, min=0)
    values = y[0].T @ state["out_head_dict.face.weight"].T + state["out_head_dict.face.bias"]
    return values.numpy()


def plain_speech(state: dict[str, Tensor], sound: F32, style: int, fps: int) -> F32:
    """Windows of 25 s, 20 s apart, cross-faded over 5 s."""
    n_windows = 1 + max(0, int(np.ceil((len(sound) / 16_000 - 25) / 20)))
    parts = [sound[k * 320_000 : k * 320_000 + 400_000] for k in range(n_windows)]
    said = [plain_values(state, part, style, round(len(part) / 16_000 * fps)) for part in parts]
    whole = said[0]
    for part in said[1:]:
        share = np.linspace(0, 1, 5 * fps)[:, None]
        mixed = (1 - share) * whole[-5 * fps :] + share * part[: 5 * fps]
        whole = np.concatenate([whole[: -5 * fps], mixed, part[5 * fps :]]).astype(np.float32)
    return whole


def say(network: UniTalker, style: int) -> Any:  # noqa: ANN401 - a closure for the windows
    """What says the values of a window."""

    def predict(samples: F32, n_frames: int) -> F32:
        sound, chosen = torch.from_numpy(samples.copy())[None], torch.tensor([style])
        found: F32 = network(sound, chosen, "face", n_frames)[0].numpy()
        return found

    return predict


@pytest.mark.parametrize("variant", ["b", "l"])
def test_a_published_checkpoint_is_taken_as_it_is(variant: str) -> None:
    """Names and shapes of the transcribed lists, for the base and the large model."""
    state = make_state(f"unitalker_{variant}")

    loaded = checkpoint.load(state, "file")

    found = {name: tuple(each.shape) for name, each in loaded.network.state_dict().items()}
    assert published_shapes(f"unitalker_{variant}") == found
    assert torch.equal(state[STYLE], loaded.network.state_dict()[STYLE])


@pytest.mark.parametrize("name", [STYLE, "out_head_dict.FLAME_5023_vertices.bias", NORM + "bias"])
def test_a_renamed_parameter_is_refused_by_name(name: str) -> None:
    """None is left random."""
    state = make_state("unitalker_b")
    state["renamed"] = state.pop(name)

    with pytest.raises(InvalidInput) as refused:
        checkpoint.load(state, "file")

    assert "bad_model_file" == refused.value.code
    assert f"{name} is missing; renamed is unknown" in refused.value.message


def test_a_reshaped_parameter_is_refused_by_name() -> None:
    """With what it is and should be."""
    state = make_state("unitalker_b")
    state[STYLE] = torch.zeros(934, 64)

    with pytest.raises(InvalidInput) as refused:
        checkpoint.load(state, "file")

    assert f"{STYLE} is [934, 64] instead of [935, 64]" in refused.value.message


def test_something_else_is_refused() -> None:
    """A checkpoint of another model."""
    with pytest.raises(InvalidInput, match="not UniTalker B or L"):
        checkpoint.load(make_state("ave"), "file")


def test_older_names_of_a_normalised_weight_are_known() -> None:
    """PyTorch before 2.0 called its parts g and v."""
    state = make_state("unitalker_b")
    for number, letter in enumerate("gv"):
        name = f"{NORM}parametrizations.weight.original{number}"
        state[f"{NORM}weight_{letter}"] = state.pop(name)

    assert "wavlm" == checkpoint.load(state, "file").variant.audio_encoder


@pytest.mark.parametrize(("seconds", "fps"), [(1.3, 30), (24.9, 25), (46.0, 30)])
def test_speech_is_said_as_defined(seconds: float, fps: int) -> None:
    """Decoder, identity, head, windows and cross-fade, computed plainly."""
    network, sound = make_network(), make_sound(seconds)

    values = predict_whole(say(network, 500), sound, fps)

    expected = plain_speech(dict(network.state_dict()), sound, 500, fps)
    assert expected.shape == values.shape
    assert np.abs(expected - values).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_speakers_differ() -> None:
    """The same speech in two styles."""
    network, sound = make_network(), make_sound(1.0)

    one, other = (predict_whole(say(network, style), sound, 30) for style in (0, 934))

    assert np.abs(one - other).max() > 1e-3


def test_windows_come_as_soon_as_they_are_whole() -> None:
    """Chunk by chunk the same values, the first after 25 s."""
    network, sound = make_network(), make_sound(48.0)
    speech = WindowedSpeech(say(network, 3), 30)
    chunk = 16_000

    parts = [speech.push(sound[at : at + chunk]) for at in range(0, len(sound), chunk)]
    parts.append(speech.finish())

    whole = predict_whole(say(network, 3), sound, 30)
    said = np.concatenate([part for part in parts if len(part)])
    assert np.abs(whole - said).max() < 1e-4
    assert 25 == next(k for k, part in enumerate(parts) if len(part))
