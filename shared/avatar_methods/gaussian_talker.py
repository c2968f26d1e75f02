"""gaussian_talker: canonical Gaussians deformed by spatial-audio attention.

Source: KU GaussianTalker (Cho et al., ACM MM 2024): triplane features 64^2 and 128^2, a static
(coarse) and a deforming (fine) stage, attention of each Gaussian over audio, eye, camera and null
tokens, heads whose outputs are added to raw attributes, lip and depth terms, widths of its
``64_dim_1_transformer`` configuration. Departures:

- A whole person is drawn before the background, not a head before the captured torso: torso
  Gaussians follow the head by a rule (``talker_parts.cloud``), and are not deformed.
- Gaussians start from pixels of training frames, with their colours. What the triplane says of
  colour and opacity is added to these, since 2,500 steps cannot paint a face through it.
- RGB instead of spherical harmonics: one frontal camera shows no other side, and what changes with
  the head's pose comes by the camera token.
- Audio features of any encoder (``mel`` by default) for DeepSpeech's logits, and a hearing that
  is taught the tracked lips first (``talker_parts.listening``); brows and blinks
  (seven numbers) for OpenFace's AU45; head pose in deviations of the training frames.
- One picture a step in both stages (32 in its fine one), so learning rates of planes and networks
  are five and ten times its own; no perceptual term (no weights of VGG here); no dropout, which
  would need as many steps as the source takes.
"""

import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions, Needs, Performance, Seed, Subject
from shared.progress import Progress, silent
from shared.talker_parts.audio_nets import N_AUDIO, N_ROWS, Hearing, encoder_channels
from shared.talker_parts.cloud import N_PLACE
from shared.talker_parts.cloud_start import start_cloud
from shared.talker_parts.deforming_cloud import N_CAMERA, DeformingCloud, make_token
from shared.talker_parts.listening import learn_lips
from shared.talker_parts.motion_lessons import n_lessons
from shared.talker_parts.spatial_attention import WIDTH
from shared.talker_parts.stored_networks import check_cloud, choose_options, load_networks
from shared.training_schedule import PictureWeights, Schedule
from shared.upper_face import N_UPPER_FACE

DEFAULT_OPTIONS: MethodOptions = {"audio_encoder": "mel", "attention": True}
COARSE_STAGE = 0.3
"""Share of the steps without deformation. In the source it is 8,000 of 18,000, but a fine step
of its shows 32 pictures."""
TOKENS = ("audio", "eye", "camera", "null")


class GaussianTalker(DeformingCloud):
    """The method's model."""

    ATTENTION_TOKENS = TOKENS

    def add_tokens(self, n_channels: int) -> None:
        """Networks of sound, eyes, camera, and a learned token of nothing."""
        self.hearing = Hearing(n_channels)
        self.audio_token = make_token(N_AUDIO)
        self.eye_token = make_token(N_UPPER_FACE)
        self.camera_token = make_token(N_CAMERA)
        self.null_token = nn.Parameter(torch.randn(1, WIDTH))

    def condition(self, performance: Performance) -> Tensor:
        """Places, what is heard, and the upper face. -> [T, 15 + 32 + 7]"""
        assert performance.audio is not None
        assert performance.upper_face is not None
        heard = self.hearing(performance.audio)
        return torch.cat([self.place_rows(performance), heard, performance.upper_face], 1)

    def training_condition(self, frame: int) -> Tensor:
        """The same for a training frame, with corrected head pose and its own torso. -> [54]"""
        performance = self.subject.training_performance
        assert performance.audio is not None
        assert performance.upper_face is not None
        place = self.training_place(frame)
        if self.is_static:
            heard = torch.zeros(N_AUDIO)
        else:
            heard = self.hearing(performance.audio[frame : frame + 1])[0]
        return torch.cat([place, heard, performance.upper_face[frame]])

    def begin_step(self, step: int, n_steps: int, progress: Progress = silent) -> tuple[str, ...]:
        """The coarse stage is static; before the fine one the tracked mesh teaches motion."""
        self.is_static = step / n_steps < COARSE_STAGE
        begins = (step - 1) / n_steps < COARSE_STAGE <= step / n_steps
        return self.learn_motion(n_lessons(n_steps), progress) if begins else ()

    def tokens(self, condition: Tensor) -> Tensor:
        """What is known of a frame, in the order of TOKENS. -> [4, 64]"""
        place, heard, upper_face = condition.split((N_PLACE, N_AUDIO, N_UPPER_FACE))
        known = [
            self.audio_token(heard),
            self.eye_token(upper_face),
            self.camera_token(self.camera_deviation(place)),
        ]
        return torch.cat([torch.stack(known), self.null_token])

    def learning_rates(self) -> dict[str, float]:
        """Adam's initial learning rates."""
        return self.deforming_rates()

    def regularisation(self, frame: int) -> Tensor:
        """Of the cloud; the source has no other."""
        return self.cloud_penalty(frame)


def schedule(options: MethodOptions) -> Schedule:
    """Lip and depth terms; Gaussians are added in the coarse stage only."""
    del options
    return Schedule(
        weights=PictureWeights(lips=0.4, depth=0.4),
        densify_shares=(0.06, 0.12, 0.18, 0.24, 0.3),
        register_shares=(0.12, 0.28),
    )


def needs(options: MethodOptions) -> Needs:
    """Sound and the upper face.

    Raises:
        InvalidInput: ``bad_method_options``, ``unknown_plugin``.
    """
    chosen = choose_options("gaussian_talker", DEFAULT_OPTIONS, options)
    encoder = str(chosen["audio_encoder"])
    encoder_channels(encoder)
    return Needs(encoder, N_ROWS, upper_face=True)


def create(
    subject: Subject, seeds: list[Seed], options: MethodOptions, seed: int
) -> GaussianTalker:
    """A cloud at the seeds' pixels, networks that change nothing much yet.

    Raises:
        InvalidInput: ``bad_method_options``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(subject, start_cloud(subject, seeds, seed), options)
        learn_lips(model.hearing, subject, seed)
    return model


def restore(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> GaussianTalker:
    """The stored model.

    Raises:
        InvalidInput: ``bad_avatar``.
    """
    check_cloud(subject, tensors)
    return load_networks(_build(subject, tensors, options), tensors)


def _build(subject: Subject, tensors: dict[str, Tensor], options: MethodOptions) -> GaussianTalker:
    chosen = choose_options("gaussian_talker", DEFAULT_OPTIONS, options)
    n_channels = encoder_channels(str(chosen["audio_encoder"]))
    return GaussianTalker(subject, tensors, n_channels, attention=bool(chosen["attention"]))
