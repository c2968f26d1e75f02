"""Links to what jobs made; each holds for a while."""

from collections.abc import Mapping
from datetime import timedelta

from api.dependencies import Call
from api.jobs.job import parse_job
from api.routes.submissions import read_job
from api.schemas.links import FileLink

AVATAR_FOLDERS = {
    "train": "",
    "fit_motion": "motion_model/",
    "render_heldout": "heldout/",
    "score": "scores/",
}
"""Stage -> folder that its files are shown in."""
VIDEO_FOLDERS = {"render": "", "score": "scores/"}


def link_files(call: Call, job_id: str, folders: Mapping[str, str]) -> list[FileLink]:
    """Links to the files of a job's stages; lists the store, so call it in a thread."""
    job = parse_job(read_job(call, job_id).state)
    store, now = call.parts.store, call.parts.now()
    lifetime = timedelta(minutes=call.parts.settings.link_minutes)
    links = []
    for stage_name, folder in folders.items():
        stage = job.stage(stage_name)
        if stage is None or stage.output is None:
            continue
        for found in store.list_objects(stage.output.prefix):
            path = folder + found.key.removeprefix(stage.output.prefix)
            url = store.presign_get(
                found.key, now=now, expires=lifetime, download_name=path.replace("/", "_")
            )
            links.append(
                FileLink(
                    path=path,
                    url=call.address + url if url.startswith("/") else url,
                    expires_at=now + lifetime,
                    size_bytes=found.size,
                )
            )
    return links
