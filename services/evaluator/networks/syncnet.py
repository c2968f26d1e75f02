"""SyncNet: one embedding for five frames of a mouth, one for 0.2 s of sound.

Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV workshops 2016; layers and
parameter names of the published ``syncnet_v2.model`` (joonson/syncnet_python, MIT).
"""

from torch import Tensor, nn

FILE = "syncnet_v2.model"
WINDOW = 5
"""Frames that one embedding sees."""
MFCC_WINDOW = 20
"""Columns of MFCC, at 100 per second, that one embedding hears."""
FACE_PX = 224
EMBEDDING = 1024


class SyncNet(nn.Module):
    """Both networks; names and shapes are those of the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_sound_block(1, 64),
            nn.MaxPool2d(1, 1),
            *_sound_block(64, 192),
            nn.MaxPool2d(3, (1, 2)),
            *_sound_block(192, 384),
            *_sound_block(384, 256),
            *_sound_block(256, 256),
            nn.MaxPool2d(3, 2),
            *_sound_block(256, 512, (5, 4), padding=0),
        )
        self.netfcaud = _head()
        self.netcnnlip = nn.Sequential(
            *_lip_block(3, 96, (WINDOW, 7, 7), stride=2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_lip_block(96, 256, (1, 5, 5), stride=2, padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_lip_block(256, 256, (1, 3, 3), padding=1),
            *_lip_block(256, 256, (1, 3, 3), padding=1),
            *_lip_block(256, 256, (1, 3, 3), padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_lip_block(256, 512, (1, 6, 6)),
        )
        self.netfclip = _head()

    def embed_sound(self, mfcc: Tensor) -> Tensor:
        """Windows of MFCC. [B, 1, 13, 20] -> [B, 1024]"""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))

    def embed_lips(self, faces: Tensor) -> Tensor:
        """Every five consecutive faces of a sequence, which the network is slid over.

        Args:
            faces: BGR, 0 to 255. [T, 3, 224, 224]

        Returns:
            Embedding of frames i to i + 4. [T - 4, 1024]
        """
        features = self.netcnnlip(faces.transpose(0, 1)[None])  # [1, 512, T - 4, 1, 1]
        return self.netfclip(features[0, :, :, 0, 0].T)


def _sound_block(
    n_in: int, n_out: int, kernel: int | tuple[int, int] = 3, *, padding: int = 1
) -> tuple[nn.Module, ...]:
    return nn.Conv2d(n_in, n_out, kernel, padding=padding), nn.BatchNorm2d(n_out), nn.ReLU()


def _lip_block(
    n_in: int, n_out: int, kernel: tuple[int, int, int], *, stride: int = 1, padding: int = 0
) -> tuple[nn.Module, ...]:
    layer = nn.Conv3d(
        n_in, n_out, kernel, stride=(1, stride, stride), padding=(0, padding, padding)
    )
    return layer, nn.BatchNorm3d(n_out), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING)
    )
