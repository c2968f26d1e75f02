"""The rendering twin of the torch code that moves Gaussians with their triangles."""

import pytest
import torch

from shared.geometry.rotations import matrix_to_quaternion, multiply_quaternions
from shared.rigging.posing_kernel import Riders, ride_triangles
from shared.rigging.triangle_frames import triangle_frames


@pytest.mark.parametrize(("n", "n_codes"), [(1, 0), (511, 3), (1300, 15)])
def test_kernel_equals_torch(n: int, n_codes: int) -> None:
    """Means, quaternions, scales and colours agree to float32 rounding."""
    generator = torch.Generator().manual_seed(n)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    frames = triangle_frames(noise(40, 3), torch.randint(0, 40, (70, 3), generator=generator))
    riders = Riders(
        binding=torch.randint(0, 70, (n,), generator=generator),
        local=noise(n, 3),
        scales=noise(n, 3).exp(),
        quats=noise(n, 4),
        opacities=torch.rand(n, generator=generator),
        colors=noise(n, 3),
        moves=noise(n_codes, n, 3),
        tints=noise(n_codes, n, 3),
    )
    codes = noise(n_codes)

    posed = ride_triangles(riders, frames, codes)

    local = riders.local + torch.einsum("c,cnd->nd", codes, riders.moves)
    size = frames.sizes[riders.binding]
    turned = torch.einsum("nij,nj->ni", frames.rotations[riders.binding], local)
    means = turned * size[:, None] + frames.centres[riders.binding]
    turns = matrix_to_quaternion(frames.rotations)[riders.binding]
    colors = riders.colors + torch.einsum("c,cnd->nd", codes, riders.tints)
    torch.testing.assert_close(posed.means, means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(posed.scales, riders.scales * size[:, None])
    torch.testing.assert_close(posed.quats, multiply_quaternions(turns, riders.quats))
    torch.testing.assert_close(posed.colors, colors, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(posed.opacities, riders.opacities)
