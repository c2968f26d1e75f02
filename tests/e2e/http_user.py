"""Somebody who uses the platform over HTTP alone, as docs/http.md tells."""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import httpx2

from services.embedded.puppet.capture import FPS, SPEECH_SECONDS

Body = Mapping[str, Any]
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 1800.0
"""Only what hangs takes so long."""
SHORT: Body = {"preset": "draft", "max_steps": 300}
"""Enough steps to draw a face, few enough for CI."""
ENDED = {"succeeded", "failed", "canceled"}


class HttpUser:
    """Holds an API key and the platform's address; both may change."""

    def __init__(self, address: str, api_key: str) -> None:
        self._client = httpx2.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=60,
            trust_env=False,
        )

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def get(self, path: str) -> Body:
        """Read something that is there."""
        answer = self._client.get(path)
        assert 200 == answer.status_code, answer.text
        body: Body = answer.json()
        return body

    def upload(self, file: Path, purpose: str, content_type: str) -> str:
        """Send a file and wait until a worker has verified it; its id."""
        data = file.read_bytes()
        asked = {
            "file_name": file.name,
            "content_type": content_type,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "purpose": purpose,
        }
        made = self._post("/v1/uploads", asked, 201)
        form = made["form"]
        sent = httpx2.post(
            form["url"], data=form["fields"], files={"file": data}, timeout=60, trust_env=False
        )
        assert sent.status_code in {201, 204}, sent.text
        upload_id: str = made["upload_id"]
        self._post(f"/v1/uploads/{upload_id}/complete", None, 202)
        ready = self._wait(
            f"/v1/uploads/{upload_id}", lambda seen: seen["status"] in {"ready", "rejected"}
        )
        assert "ready" == ready["status"], ready
        return upload_id

    def ask_for_avatar(self, capture_upload_id: str, options: Body = SHORT) -> Body:
        """Order an avatar."""
        asked = {
            "name": "Puppet",
            "capture_upload_id": capture_upload_id,
            "consent": {
                "subject": "The puppet",
                "scope": ["avatar", "video"],
                "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
                "statement": "I am a puppet and allow it.",
            },
            "options": options,
        }
        return self._post("/v1/avatars", asked, 202)

    def ask_for_video(self, avatar_id: str, speech_upload_id: str) -> Body:
        """Order a video."""
        asked = {"name": "Hello", "avatar_id": avatar_id, "speech_upload_id": speech_upload_id}
        return self._post("/v1/videos", asked, 202)

    def wait_for_job(self, job_id: str) -> Body:
        """The job once it has succeeded."""
        job = self._wait(f"/v1/jobs/{job_id}", lambda seen: seen["status"] in ENDED)
        assert "succeeded" == job["status"], job["failure"]
        return job

    def wait_for_stage(self, job_id: str, stage: str, progress: float) -> None:
        """Return once a running job has got so far in a stage."""

        def is_there(job: Body) -> bool:
            assert job["status"] not in ENDED, job
            return stage_of(job, stage)["progress"] >= progress

        self._wait(f"/v1/jobs/{job_id}", is_there)

    def events(self, job_id: str) -> Iterator[Body]:
        """The log of a job that has ended."""
        answer = self._client.get(f"/v1/jobs/{job_id}/events")
        assert 200 == answer.status_code, answer.text
        for line in answer.text.splitlines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))

    def download(self, url: str) -> bytes:
        """What a link leads to; links need no key."""
        answer = httpx2.get(url, timeout=60, trust_env=False)
        assert 200 == answer.status_code, answer.text
        return answer.content

    def _post(self, path: str, body: Body | None, status: int) -> Body:
        headers = {"Idempotency-Key": hashlib.sha256(f"{path} {body}".encode()).hexdigest()}
        answer = self._client.post(path, json=body, headers=headers)
        assert status == answer.status_code, answer.text
        said: Body = answer.json()
        return said

    def _wait(self, path: str, is_wanted: Callable[[Body], bool]) -> Body:
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_wanted(seen := self.get(path)):
            assert time.monotonic() < until, seen
            time.sleep(POLL_SECONDS)
        return seen


def stage_of(job: Body, name: str) -> Body:
    """A stage as the job shows it."""
    (stage,) = (stage for stage in job["stages"] if stage["stage"] == name)
    found: Body = stage
    return found


def check_video(user: HttpUser, ordered: Body) -> None:
    """Wait for a video of the demo's speech: as long as that, with sound, and scored."""
    user.wait_for_job(ordered["job_id"])
    video = user.get(f"/v1/videos/{ordered['video_id']}")
    film = user.download(video["urls"]["result"])

    assert "ready" == video["status"]
    assert {"video.mp4", "scores.json"} <= {Path(file["path"]).name for file in video["files"]}
    assert "av_offset" in video["facts"]["score"]
    with av.open(io.BytesIO(film), mode="r") as opened:
        assert {"h264", "aac"} == {stream.codec_context.name for stream in opened.streams}
        assert round(SPEECH_SECONDS * FPS) == sum(1 for _ in opened.decode(video=0))
