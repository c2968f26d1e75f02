"""import: avatars, motions, datasets and measurements of other programs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from services.embedded.commands.running import do_stage
from services.embedded.commands.words import ExistingFile, ExistingFolder, JsonOption
from shared.contracts.artifact import Manifest
from shared.progress import Progress
from shared.settings import read_settings

app = typer.Typer(
    help="Take in what other programs made: avatars, motions, datasets, action units, masks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def gaussian_avatar(
    folder: Annotated[Path, ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the avatar.")],
    as_json: JsonOption = False,
) -> None:
    """An avatar that GaussianAvatars has trained; needs the FLAME file it was made with.

    \b
    talksplat import gaussian-avatar output/306 -o avatar
    """

    def stage(_progress: Progress) -> Manifest:
        from services.embedded.exchange.gaussian_avatar import import_gaussian_avatar

        return import_gaussian_avatar(folder, out, read_settings(os.environ).models_dir)

    do_stage("import gaussian-avatar", stage, out, is_json=as_json)


@app.command()
def flame_motion(
    file: Annotated[Path, ExistingFile],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion.")],
    avatar: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Avatar that shall perform it.")
    ],
    audio: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Wave, 16 kHz mono, to go with it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """A motion from an npz of FLAME parameters, for one avatar.

    \b
    talksplat import flame-motion flame_param.npz --avatar avatar -o motion
    """

    def stage(_progress: Progress) -> Manifest:
        from services.embedded.exchange.flame_motion import import_motion

        return import_motion(file, avatar, out, audio)

    do_stage("import flame-motion", stage, out, is_json=as_json)


@app.command()
def vhap(
    folder: Annotated[Path, ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the tracked dataset.")],
    as_json: JsonOption = False,
) -> None:
    """A dataset tracked by VHAP, of one camera or several; needs the FLAME file.

    \b
    talksplat import vhap UNION10_306 -o dataset
    talksplat train dataset -o avatar
    """

    def stage(progress: Progress) -> Manifest:
        from services.embedded.exchange.vhap_import import import_vhap

        return import_vhap(folder, out, read_settings(os.environ).models_dir, progress)

    do_stage("import vhap", stage, out, is_json=as_json)


@app.command("au")
def action_units(
    table: Annotated[Path, ExistingFile],
    dataset: Annotated[Path, ExistingFolder],
    as_json: JsonOption = False,
) -> None:
    """Take brows and blinks from OpenFace's au.csv instead of tracking.

    \b
    talksplat import au au.csv dataset
    """

    def stage(_progress: Progress) -> Manifest:
        from services.preprocess.action_units import import_action_units

        return import_action_units(table, dataset)

    do_stage("import", stage, dataset, is_json=as_json)


@app.command("teeth")
def teeth(
    masks: Annotated[Path, ExistingFolder],
    dataset: Annotated[Path, ExistingFolder],
    as_json: JsonOption = False,
) -> None:
    """Take a black and white PNG per frame as the regions of the teeth.

    \b
    talksplat import teeth masks dataset
    """

    def stage(_progress: Progress) -> Manifest:
        from services.preprocess.teeth_masks import import_teeth

        return import_teeth(masks, dataset)

    do_stage("import", stage, dataset, is_json=as_json)


@app.command("vertices")
def vertices(
    file: Annotated[Path, ExistingFile],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion.")],
    avatar: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Avatar that shall perform it.")
    ],
    fps: Annotated[int, typer.Option(min=1, max=120, help="Frames per second of the mesh.")] = 25,
    as_json: JsonOption = False,
) -> None:
    """A moving mesh of the head model's topology (npz: vertices, neutral), for one avatar.

    \b
    talksplat import vertices spoken.npz --avatar avatar --fps 30 -o motion
    """

    def stage(_progress: Progress) -> Manifest:
        from services.embedded.exchange.driven_motion import import_vertices

        return import_vertices(file, avatar, fps, out)

    do_stage("import vertices", stage, out, is_json=as_json)


@app.command("performance")
def performance(
    motion: Annotated[Path, ExistingFolder],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion.")],
    performer: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Avatar whose motion it is.")
    ],
    avatar: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Avatar that shall perform it.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Another avatar's motion, of whatever head model, retargeted to this one.

    \b
    talksplat import performance motion --performer anna --avatar ben -o motion_of_ben
    """

    def stage(_progress: Progress) -> Manifest:
        from services.embedded.exchange.driven_motion import import_performance

        return import_performance(motion, performer, avatar, out)

    do_stage("import performance", stage, out, is_json=as_json)


@app.command("arkit")
def arkit(
    table: Annotated[Path, ExistingFile],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the motion.")],
    avatar: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Avatar that shall perform it.")
    ],
    fps: Annotated[int, typer.Option(min=1, max=120, help="Rows per second.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """A motion from a csv of ARKit's 52 blendshapes, as Live Link Face records them.

    \b
    talksplat import arkit take_1.csv --avatar avatar --fps 60 -o motion
    """

    def stage(_progress: Progress) -> Manifest:
        from services.embedded.exchange.arkit_csv import import_arkit

        return import_arkit(table, avatar, fps, out)

    do_stage("import arkit", stage, out, is_json=as_json)
