"""View-dependent colours."""

import pytest
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.raster_kernels.spherical_harmonics import spherical_harmonics


def reference(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """The basis of 3D Gaussian Splatting, written out."""
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    basis = [
        0.28209479177387814 * torch.ones_like(x),
        -0.4886025119029199 * y,
        0.4886025119029199 * z,
        -0.4886025119029199 * x,
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (2 * zz - xx - yy),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (xx - yy),
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.4570457994644658 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    n_basis = (degree + 1) ** 2
    return torch.einsum(
        "nk,nkc->nc", torch.stack(basis, -1)[:, :n_basis], coefficients[:, :n_basis]
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_and_gradients_equal_the_written_out_basis(degree: int) -> None:
    """Values within 2e-6, gradients in directions and coefficients within 2e-5."""
    generator = torch.Generator().manual_seed(degree)
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in [(50, 3), (50, 16, 3)]
    ]
    weights = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    double = [t.clone().requires_grad_() for t in inputs]
    single = [t.float().requires_grad_() for t in inputs]

    expected = reference(degree, *double)
    actual = spherical_harmonics(degree, *single)
    expected_gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
        (expected * weights).sum(), double, allow_unused=True
    )
    actual_gradients = torch.autograd.grad((actual * weights.float()).sum(), single)

    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=2e-6)
    for got, wanted, like in zip(actual_gradients, expected_gradients, inputs, strict=True):
        # Degree 0 does not depend on the direction.
        gradient = torch.zeros_like(like) if wanted is None else wanted
        torch.testing.assert_close(got.double(), gradient, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("degree", "directions", "coefficients"),
    [
        (4, torch.ones(2, 3), torch.ones(2, 25, 3)),
        (2, torch.ones(2, 3), torch.ones(2, 4, 3)),
        (1, torch.ones(3, 3), torch.ones(2, 4, 3)),
        (1, torch.ones(2, 3), torch.ones(2, 4, 1)),
        (1, torch.ones(2, 3).double(), torch.ones(2, 4, 3)),
    ],
)
def test_bad_harmonics_are_refused(degree: int, directions: Tensor, coefficients: Tensor) -> None:
    """Wrong degrees, shapes and types raise ``bad_harmonics``."""
    with pytest.raises(InvalidInput) as refusal:
        spherical_harmonics(degree, directions, coefficients)

    assert "bad_harmonics" == refusal.value.code
