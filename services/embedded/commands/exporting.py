"""export: what other programs open, from avatars, motions and datasets."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.embedded.commands.running import prepare
from services.embedded.commands.words import ExistingFolder
from services.embedded.terminal import open_terminal, progress_bar
from shared.settings import read_settings

app = typer.Typer(
    help="Write what other programs open: splats, cameras, meshes, GaussianAvatars, VHAP.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OutFile = Annotated[Path, typer.Option("-o", "--out", help="File to write.")]
OutFolder = Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")]


@app.command()
def ply(
    avatar: Annotated[Path, ExistingFolder],
    motion: Annotated[Path, ExistingFolder],
    out: OutFile,
    frame: Annotated[int, typer.Option(min=0, help="Frame of the motion, from 0.")] = 0,
) -> None:
    """One posed frame as a 3D Gaussian Splatting PLY, for splat viewers.

    \b
    talksplat export ply avatar motion --frame 40 -o frame.ply
    """
    prepare(open_terminal(is_json=False))
    from services.embedded.exchange.avatar_views import pose_frame
    from services.embedded.exchange.splat_file import write_splats

    write_splats(out, pose_frame(avatar, motion, frame))
    _tell(out)


@app.command()
def cameras(artifact: Annotated[Path, ExistingFolder], out: OutFile) -> None:
    """The cameras of an avatar or a tracked dataset as cameras.json, for the SIBR viewers."""
    from services.embedded.exchange.avatar_views import cameras_of
    from services.embedded.exchange.sibr_cameras import write_cameras

    write_cameras(out, cameras_of(artifact))
    _tell(out)


@app.command()
def meshes(
    avatar: Annotated[Path, ExistingFolder],
    motion: Annotated[Path, ExistingFolder],
    out: OutFolder,
    kind: Annotated[Literal["obj", "glb"], typer.Option("--format", help="OBJ or glTF.")] = "obj",
) -> None:
    """The head model's mesh of every frame, as OBJ or binary glTF.

    \b
    talksplat export meshes avatar motion -o meshes --format glb
    """
    terminal = open_terminal(is_json=False)
    prepare(terminal)
    from services.embedded.exchange.meshes import write_meshes
    from services.renderer.shot import read_motion
    from shared.avatar_store import load_subject
    from shared.contracts.artifact import read_manifest
    from shared.contracts.avatar import AvatarManifest

    manifest = read_manifest(avatar, AvatarManifest)
    performance, _ = read_motion(motion, manifest)
    with progress_bar(terminal, "export meshes") as progress:
        write_meshes(load_subject(avatar, manifest), performance.pose, out, kind, progress)
    _tell(out)


@app.command()
def fused(avatar: Annotated[Path, ExistingFolder], out: OutFile) -> None:
    """The subject at their mean expression as coloured points and triangles (fused.ply)."""
    prepare(open_terminal(is_json=False))
    from services.embedded.exchange.mean_person import write_mean_person
    from shared.avatar_store import load_avatar

    _, subject, model = load_avatar(avatar)
    write_mean_person(out, subject, model)
    _tell(out)


@app.command()
def gaussian_avatar(avatar: Annotated[Path, ExistingFolder], out: OutFolder) -> None:
    """An avatar as GaussianAvatars' trainer leaves it: local Gaussians, FLAME parameters."""
    prepare(open_terminal(is_json=False))
    from services.embedded.exchange.gaussian_avatar import export_gaussian_avatar

    export_gaussian_avatar(avatar, out, read_settings(os.environ).models_dir)
    _tell(out)


@app.command()
def flame_motion(
    avatar: Annotated[Path, ExistingFolder], motion: Annotated[Path, ExistingFolder], out: OutFile
) -> None:
    """A motion as an npz of FLAME parameters, which GaussianAvatars plays."""
    from services.embedded.exchange.flame_motion import export_motion

    export_motion(avatar, motion, out)
    _tell(out)


@app.command()
def arkit(motion: Annotated[Path, ExistingFolder], out: OutFile) -> None:
    """A motion as a csv of ARKit's 52 blendshapes, in the columns of Live Link Face.

    \b
    talksplat export arkit motion -o motion.csv
    """
    from services.embedded.exchange.arkit_csv import export_arkit

    export_arkit(motion, out)
    _tell(out)


@app.command()
def vhap(dataset: Annotated[Path, ExistingFolder], out: OutFolder) -> None:
    """A tracked dataset as VHAP exports it, for GaussianAvatars to train on."""
    terminal = open_terminal(is_json=False)
    prepare(terminal)
    from services.embedded.exchange.vhap_export import export_vhap

    with progress_bar(terminal, "export vhap") as progress:
        export_vhap(dataset, out, read_settings(os.environ).models_dir, progress)
    _tell(out)


def _tell(out: Path) -> None:
    open_terminal(is_json=False).results.print(str(out), highlight=False, markup=False)
