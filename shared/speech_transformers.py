"""HuBERT, wav2vec 2.0 and WavLM from a local folder, through the library ``transformers``.

All three have one stem of convolutions, 400 samples wide at 320 samples a row, and a transformer
over everything that it is given. Long recordings are heard in overlapping parts, so that memory
is bounded. Nothing is ever downloaded.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.errors import InvalidInput
from shared.model_files import model_path

F32 = NDArray[np.float32]

SAMPLE_RATE = 16_000
ROWS_PER_SECOND = 50
HOP, WIDTH = 320, 400
"""Samples from row to row, and that the stem hears at once."""
CORE_ROWS, MARGIN_ROWS = 1000, 100
"""Rows kept of a part, and heard on either side of it: 20 s and 2 s."""
_TINY_VARIANCE = 1e-7
_UNUSED = "masked_spec_embed"
"""Stands for what was masked in training, and nowhere else."""


def encode_with(name: str, encoder: str, n_channels: int, audio: F32) -> F32:
    """Last hidden states; row i is centred on sample 320 i.

    Args:
        name: Folder in the models folder, as its owner publishes it.
        encoder: Registry name, for messages.
        n_channels: Width of a row, which tells the published model from its larger kin.
        audio: 16 kHz mono. [samples]

    Returns:
        [ceil(samples / 320), C]

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_model_file`` the folder holds another model.
    """
    folder = model_path(name, f"the audio encoder {encoder}")
    network = _network(folder, (folder / "config.json").is_file(), encoder, n_channels)
    n_rows = max(1, -(-len(audio) // HOP))
    level = (audio - audio.mean()) / np.sqrt(audio.var() + _TINY_VARIANCE)
    end = HOP * (n_rows - 1) + WIDTH - WIDTH // 2 - len(audio)
    padded = torch.from_numpy(np.pad(level, (WIDTH // 2, max(end, 0))).astype(np.float32))
    rows = []
    for start in range(0, n_rows, CORE_ROWS):
        first = max(0, start - MARGIN_ROWS)
        last = min(n_rows, start + CORE_ROWS + MARGIN_ROWS)
        part = padded[first * HOP : (last - 1) * HOP + WIDTH]
        with torch.no_grad():
            heard = network(part[None]).last_hidden_state[0]
        rows.append(heard[start - first : start - first + CORE_ROWS])
    return torch.cat(rows)[:n_rows].numpy()


@lru_cache(maxsize=3)
def _network(folder: Path, is_whole: bool, encoder: str, n_channels: int) -> nn.Module:  # noqa: FBT001
    if not is_whole:
        raise InvalidInput("bad_model_file", f"{folder} is no folder with config.json and weights")
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415 - seconds, and an optional library

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if (config.model_type, config.hidden_size) != (encoder, n_channels):
            raise InvalidInput(
                "bad_model_file",
                f"{folder} is {config.model_type} with {config.hidden_size} channels, "
                f"expected {encoder} with {n_channels}",
            )
        network, told = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            "bad_model_file", f"{folder} cannot be read: {str(error).splitlines()[0]}"
        ) from error
    missing = sorted(name for name in told["missing_keys"] if not name.endswith(_UNUSED))
    if missing:
        raise InvalidInput("bad_model_file", f"{folder} lacks {', '.join(missing[:3])}")
    network.eval().requires_grad_(requires_grad=False)
    return network
