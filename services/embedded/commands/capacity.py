"""capacity: workers and cost for so many avatars and videos."""

from typing import Annotated

import typer

from services.embedded.commands.words import JsonOption
from services.embedded.terminal import open_terminal, print_json, print_table


def capacity(
    avatars_per_hour: Annotated[float, typer.Option(min=0, help="Asked for.")] = 10,
    videos_per_hour: Annotated[float, typer.Option(min=0, help="Asked for.")] = 100,
    capture_seconds: Annotated[float, typer.Option(min=1, help="Length of a capture.")] = 60,
    video_seconds: Annotated[float, typer.Option(min=1, help="Length of a video.")] = 60,
    busy: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of time that workers may be busy.")
    ] = 0.7,
    price_per_hour: Annotated[
        float, typer.Option(min=0, help="Of one worker's two cores, in any currency.")
    ] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Reckon workers and cost from measured stage times; docs/capacity.md says whence.

    \b
    talksplat capacity --avatars-per-hour 50 --videos-per-hour 1000 --video-seconds 30
    """
    from services.embedded.capacity import Demand, reckon

    demand = Demand(
        avatars_per_hour=avatars_per_hour,
        videos_per_hour=videos_per_hour,
        capture_seconds=capture_seconds,
        video_seconds=video_seconds,
        busy=busy,
        price_per_hour=price_per_hour,
    )
    found = reckon(demand)
    terminal = open_terminal(is_json=as_json)
    if as_json:
        needs = [need._asdict() for need in found.needs]
        print_json(terminal, found._asdict() | {"needs": needs, "demand": demand.model_dump()})
        return
    rows = [
        [n.service, f"{n.seconds_per_avatar:.1f}", f"{n.seconds_per_video:.1f}", str(n.workers)]
        for n in found.needs
    ]
    header = ["service", "s per avatar", "s per video", "workers"]
    print_table(terminal.results, "workers of two cores, without a GPU", header, rows)
    costs = [
        ["avatar", f"{found.avatar_seconds:.0f}", f"{found.avatar_cost:.4f}"],
        [f"video of {video_seconds:g} s", f"{found.video_seconds:.0f}", f"{found.video_cost:.4f}"],
        [
            "each further minute",
            f"{found.video_minute_seconds:.0f}",
            f"{found.video_minute_cost:.4f}",
        ],
    ]
    print_table(terminal.results, "cost", ["", "worker seconds", "price"], costs)
