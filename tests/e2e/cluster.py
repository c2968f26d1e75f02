"""Stands for a cluster: runs what the chart renders for each pod as a process on this machine.

Command, arguments and environment are those of the rendered container. What a cluster would give is
given here: secrets by name and key, a folder for each volume, a free port for each container port,
and the addresses of Services.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.chart.rendering import Manifest, find, pod_template
from tests.load.programs import Program, environment, free_port

Secrets = Mapping[str, Mapping[str, str]]
"""Value by Secret and key."""


class Pod(NamedTuple):
    """One container as a process."""

    name: str
    command: Sequence[str]
    settings: Mapping[str, str]
    ports: Mapping[str, int]
    """Port of this machine by the container port's name."""


class Cluster:
    """The rendered objects, and what their pods find."""

    def __init__(self, manifests: Sequence[Manifest], secrets: Secrets, folder: Path) -> None:
        self._manifests = manifests
        self._secrets = secrets
        self._folder = folder
        self._addresses: dict[str, str] = {}

    def find(self, kind: str, component: str) -> Manifest:
        """One of the rendered objects."""
        return find(self._manifests, kind, component)

    def pod(self, manifest: Manifest, name: str) -> Pod:
        """A new pod of an object, with volumes and ports of its own."""
        template = pod_template(manifest)
        assert template is not None
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: free_port() for port in container.get("ports", [])}
        moved = {
            str(port["containerPort"]): str(ports[port["name"]])
            for port in container.get("ports", [])
        }
        folders = {
            mount["mountPath"]: self._make_folder(name, mount["name"])
            for mount in container.get("volumeMounts", [])
        }
        command = [*container["command"], *container.get("args", [])]
        settings = {
            variable["name"]: self._value(variable, container) for variable in container["env"]
        }
        return Pod(
            name=name,
            command=[moved.get(word, word) for word in command],
            settings={
                key: _placed(moved.get(value, value), folders) for key, value in settings.items()
            },
            ports=ports,
        )

    def open_service(self, component: str, pod: Pod) -> str:
        """Let a Service lead to a pod; returns its address on this machine."""
        service = self.find("Service", component)
        (port,) = service["spec"]["ports"]
        name, space = service["metadata"]["name"], service["metadata"]["namespace"]
        address = f"http://127.0.0.1:{pod.ports[port['targetPort']]}"
        for known_as in (name, f"{name}.{space}.svc"):
            self._addresses[f"http://{known_as}:{port['port']}"] = address
        return address

    def reach(self, url: str) -> str:
        """Where a URL inside the cluster leads to."""
        for inside, address in self._addresses.items():
            if url == inside or url.startswith(f"{inside}/"):
                return address + url.removeprefix(inside)
        return url

    def run(self, pod: Pod, command: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a pod to its end, or another command with what it finds."""
        return subprocess.run(
            [*(command or pod.command)],
            check=False,
            env=_environment(pod),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def start(self, pod: Pod) -> subprocess.Popen[bytes]:
        """Start a pod that ends by itself."""
        with (self._folder / f"{pod.name}.log").open("wb") as log:
            return subprocess.Popen(
                pod.command, env=_environment(pod), cwd=self._folder, stdout=log, stderr=log
            )

    def program(self, pod: Pod) -> Program:
        """A pod that is started again whenever it ends."""
        settings = {**pod.settings, "PATH": _path()}
        return Program(pod.name, pod.command[1:], settings, self._folder, program=pod.command[:1])

    def _make_folder(self, pod: str, volume: str) -> str:
        folder = self._folder / "volumes" / pod / volume
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _value(self, variable: dict[str, Any], container: dict[str, Any]) -> str:
        match variable:
            case {"value": str(text)}:
                return self.reach(text)
            case {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}:
                return self._secrets[name][key]
            case {"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}:
                return str(container["resources"]["limits"]["cpu"])
        raise AssertionError(variable)


def demand_of(exposition: str, location: str) -> float:
    """What KEDA reads: the value of the series that a trigger's ``valueLocation`` selects."""
    (line,) = (each for each in _samples(exposition) if each[0] == location)
    return float(line[1])


def _samples(exposition: str) -> Iterator[tuple[str, str]]:
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            yield name, value


def _placed(value: str, folders: Mapping[str, str]) -> str:
    """A path inside the pod, on this machine."""
    for mount, folder in folders.items():
        if value == mount or value.startswith(f"{mount}/"):
            return folder + value.removeprefix(mount)
    return value


def _environment(pod: Pod) -> dict[str, str]:
    return {**environment(pod.settings), "PATH": _path()}


def _path() -> str:
    """The command of this very environment comes first, as in an image."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
