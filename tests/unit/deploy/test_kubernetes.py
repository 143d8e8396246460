"""deploy/kubernetes: what kubectl makes of the examples is valid, and as careful as it claims to be."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ikepy import __version__
from ikepy.config.model import Config
from ikepy.config.sources.recognise import read
from ikepy.control import alive
from ikepy.control.client import DEFAULT_SOCKET
from ikepy.daemon.process.capabilities import KEPT, Capability
from ikepy.daemon.service import FAREWELL
from tests.unit.docs.pages import DOCS, ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
EXAMPLES = sorted(path.parent for path in KUBERNETES.glob("examples/*/kustomization.yaml"))
VERSIONS = ("1.30.0", "1.33.0", "1.37.0")  # preStop's sleep is on by default from 1.30 on
OWN_KINDS = {"ServiceMonitor", "PrometheusRule"}  # the Prometheus operator's: no schema of Kubernetes' own

Manifest = dict[str, Any]


def kubectl() -> str:
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    assert found is not None, ".ci/set-up fetches kubectl"
    return found


@cache
def rendered(directory: Path) -> tuple[Manifest, ...]:
    made = subprocess.run([kubectl(), "kustomize", directory], check=True, capture_output=True, text=True)
    assert "Warning" not in made.stderr, made.stderr
    return tuple(yaml.safe_load_all(made.stdout))


def only(directory: Path, kind: str, name: str = "cgw") -> Manifest:
    (found,) = (one for one in rendered(directory) if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def pod(directory: Path) -> Manifest:
    spec: Manifest = only(directory, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(directory: Path, name: str = "ipsec") -> Manifest:
    (found,) = (one for one in pod(directory)["containers"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.name)
def example(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid(example: Path, version: str) -> None:
    manifests = rendered(example)
    assert {"Deployment", "ConfigMap", "Service"} <= {one["kind"] for one in manifests}
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_component_selects_what_the_base_makes(tmp_path: Path) -> None:
    kustomization = {
        "resources": [str(Path(*[".."] * (len(tmp_path.parts) - 1), *EXAMPLES[0].parts[1:]))],
        "components": [str(Path(*[".."] * (len(tmp_path.parts) - 1), *KUBERNETES.parts[1:], "monitoring"))],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    assert {one["kind"] for one in rendered(tmp_path)} >= OWN_KINDS
    monitor, service = only(tmp_path, "ServiceMonitor"), only(tmp_path, "Service", "cgw-metrics")
    labels, ports = service["metadata"]["labels"], {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def test_services_select_the_pod(example: Path) -> None:
    deployment = only(example, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in container(example)["ports"]}
    for service in (one for one in rendered(example) if one["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_what_the_containers_may_do(example: Path) -> None:
    spec = pod(example)
    assert spec["automountServiceAccountToken"] is False
    assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
    for one in (*spec["containers"], *spec.get("initContainers", ())):
        context = one["securityContext"]
        assert not context.get("privileged")
        assert context["capabilities"]["drop"] == ["ALL"]
    host = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    assert host == ["/dev/net/tun"]


def test_the_gateway_has_what_it_keeps(example: Path) -> None:
    one = container(example)
    context = one["securityContext"]
    assert {Capability[name] for name in context["capabilities"]["add"]} == set(KEPT)
    assert context["readOnlyRootFilesystem"] and context["allowPrivilegeEscalation"] is False
    writable = [mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/run/ikepy", "/dev/net/tun"]
    asleep = one["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert asleep + FAREWELL < pod(example)["terminationGracePeriodSeconds"] <= 15


def test_the_configuration(example: Path, tmp_path: Path) -> None:
    """It is read without a mistake or a warning, given the secrets that it names; probes reach it."""
    config = configuration(example, tmp_path)
    assert config.daemon.http is not None
    ports = {port["name"]: port["containerPort"] for port in container(example)["ports"]}
    assert config.daemon.http.listen[1] == ports["metrics"]
    assert (config.daemon.port, config.daemon.port_nat_t) == (ports["ike"], ports["ike-nat-t"])
    for probe in ("readinessProbe", "startupProbe"):
        assert container(example)[probe]["httpGet"]["port"] == "metrics"
    python, *words = container(example)["livenessProbe"]["exec"]["command"]
    assert (
        f'["{python.removesuffix("/python")}/ikepy"]' in (ROOT / "deploy/container/Containerfile").read_text()
    )
    assert words == ["-m", alive.__name__]
    assert config.daemon.socket == DEFAULT_SOCKET


def configuration(example: Path, directory: Path) -> Config:
    text = only(example, "ConfigMap", "cgw-config")["data"]["ikepy.toml"]
    (mount,) = (one for one in container(example)["volumeMounts"] if one["name"] == "secrets")
    for number, name in enumerate(re.findall(rf'"{mount["mountPath"]}/([^"]+)"', text)):
        secret = directory / name
        secret.touch(mode=0o600)
        secret.write_text(f"kV8q2uPz{number}Xn4Wb7RtYc9Lm1Sd5Gf3Hj6Ka0QeZr=")
    file = directory / "ikepy.toml"
    file.write_text(text.replace(mount["mountPath"], str(directory)))
    reading = read(file)
    assert not reading.remarks
    return reading.config


def test_the_image_is_this_version() -> None:
    image = container(EXAMPLES[0])["image"]
    assert image.endswith(f":{__version__}")


def test_every_example_is_described() -> None:
    page = (DOCS / "kubernetes.md").read_text()
    for example in EXAMPLES:
        assert f"examples/{example.name}" in page
