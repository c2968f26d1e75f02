"""What helm test asks of a running platform: probe.py right-key | wrong-key | tiny-job.

The standard library only. TALKSPLAT_TEST_ADDRESS is the gateway's, TALKSPLAT_TEST_API_KEY a key of a
tenant. Exits with 0 if all is well.
"""

import hashlib
import io
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
import wave

PATIENCE_SECONDS = 240
BOUNDARY = uuid.uuid4().hex


def ask(method, path, key, body=None):
    """Status and JSON of one request to the gateway."""
    request = urllib.request.Request(
        os.environ["TALKSPLAT_TEST_ADDRESS"] + path,
        None if body is None else json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        },
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def expect(wanted, found):
    """Go on if the status is the one that is wanted."""
    status, said = found
    if status != wanted:
        sys.exit(f"expected {wanted}, got {status}: {json.dumps(said)}")
    return said


def second_of_silence():
    """A WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(32000))
    return file.getvalue()


def send_form(form, data):
    """Send a file to the object store, as a browser would."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    request = urllib.request.Request(
        form["url"],
        fields.encode() + head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60):
        pass


def tiny_job(key):
    """Upload a second of sound; verifying it is a job of one stage, which a worker runs."""
    data = second_of_silence()
    asked = {
        "file_name": "helm-test.wav",
        "content_type": "audio/wav",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "purpose": "speech",
    }
    made = expect(201, ask("POST", "/v1/uploads", key, asked))
    send_form(made["form"], data)
    path = f"/v1/uploads/{made['upload_id']}"
    expect(202, ask("POST", f"{path}/complete", key))
    until = time.monotonic() + PATIENCE_SECONDS
    while (seen := expect(200, ask("GET", path, key)))["status"] not in {"ready", "rejected"}:
        if time.monotonic() > until:
            sys.exit(f"no worker has finished the job: {json.dumps(seen)}")
        time.sleep(1)
    if seen["status"] != "ready":
        sys.exit(f"the job failed: {json.dumps(seen)}")


def main(check):
    """Run one check."""
    key = os.environ["TALKSPLAT_TEST_API_KEY"]
    if check == "right-key":
        expect(200, ask("GET", "/v1/jobs", key))
    elif check == "wrong-key":
        expect(401, ask("GET", "/v1/jobs", "ts_" + "0" * 40))
    elif check == "tiny-job":
        tiny_job(key)
    else:
        sys.exit(f"no such check: {check}")
    print(f"{check}: well")


if __name__ == "__main__":
    main(sys.argv[1])
