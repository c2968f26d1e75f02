"""Stands for KEDA: starts a pod for each stage that the gateway's demand counts and no pod has."""

import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.chart.rendering import Manifest
from tests.e2e.cluster import Cluster, demand_of

_POLL_SECONDS = 1.0
"""KEDA's own is the chart's ``keda.pollingInterval``."""
_END_SECONDS = 30.0


class ScaledJobs:
    """Pods that were started for ScaledJobs; strategy ``default``: those that run are taken off."""

    def __init__(self, cluster: Cluster, manifests: Sequence[Manifest]) -> None:
        self._cluster = cluster
        self._manifests = {each["metadata"]["name"]: each for each in manifests}
        self._pods: dict[str, list[subprocess.Popen[bytes]]] = {n: [] for n in self._manifests}
        self.errors: list[Exception] = []

    def exit_codes(self, name: str) -> list[int]:
        """Of the pods of one that have ended."""
        codes = (pod.poll() for pod in self._pods[name])
        return [code for code in codes if code is not None]

    def look(self) -> None:
        """One round."""
        for name, manifest in self._manifests.items():
            spec = manifest["spec"]
            (trigger,) = spec["triggers"]
            url = self._cluster.reach(trigger["metadata"]["url"])
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
                demand = demand_of(answer.read().decode(), trigger["metadata"]["valueLocation"])
            wanted = min(
                demand / float(trigger["metadata"]["targetValue"]), spec["maxReplicaCount"]
            )
            pods = self._pods[name]
            n_running = sum(pod.poll() is None for pod in pods)
            for _ in range(int(wanted) - n_running):
                pod = self._cluster.pod(manifest, f"{name}-{len(pods)}")
                pods.append(self._cluster.start(pod))

    def end(self) -> None:
        """Ask all to end, and see that they do."""
        running = [pod for pods in self._pods.values() for pod in pods if pod.poll() is None]
        for pod in running:
            pod.terminate()
        for pod in running:
            try:
                pod.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                pod.kill()
                pod.wait()


@contextmanager
def scaled(jobs: ScaledJobs) -> Iterator[None]:
    """Look again and again for the length of the block."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_POLL_SECONDS):
            try:
                jobs.look()
            except OSError:
                continue  # the gateway is busy; KEDA looks again, too
            except Exception as error:  # noqa: BLE001 - told to the test
                jobs.errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        jobs.end()
