"""The part of KubeRay's `RayCluster` that our manifest uses, strictly: a name that is not here is a mistake.

After the reference of `ray.io/v1` of KubeRay 1.6 and of `core/v1` of Kubernetes.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Resources(_Strict):
    limits: dict[str, Quantity]
    requests: dict[str, Quantity]


class EnvVar(_Strict):
    name: str
    value: str


class ContainerPort(_Strict):
    containerPort: int  # noqa: N815 (Kubernetes' name)
    name: Annotated[str, Field(max_length=15)]


class Container(_Strict):
    name: DnsName
    image: str
    env: list[EnvVar] = []
    ports: list[ContainerPort] = []
    resources: Resources


class PodSpec(_Strict):
    restartPolicy: Literal["Never"]  # noqa: N815
    containers: Annotated[list[Container], Field(min_length=1)]


class PodTemplate(_Strict):
    spec: PodSpec


class HeadGroupSpec(_Strict):
    rayStartParams: dict[str, str]  # noqa: N815
    template: PodTemplate


class WorkerGroupSpec(_Strict):
    groupName: DnsName  # noqa: N815
    replicas: Annotated[int, Field(ge=0)]
    minReplicas: Annotated[int, Field(ge=0)]  # noqa: N815
    maxReplicas: Annotated[int, Field(ge=0)]  # noqa: N815
    idleTimeoutSeconds: Annotated[int, Field(ge=0)] | None = None  # noqa: N815
    labels: dict[str, LabelValue] = {}
    resources: dict[str, str] = {}
    rayStartParams: dict[str, str]  # noqa: N815
    template: PodTemplate


class AuthOptions(_Strict):
    mode: Literal["token", "disabled"]


class AutoscalerOptions(_Strict):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: Annotated[int, Field(ge=0)]  # noqa: N815
    upscalingMode: Literal["Default", "Aggressive", "Conservative"]  # noqa: N815
    resources: Resources


class RayClusterSpec(_Strict):
    rayVersion: str  # noqa: N815
    authOptions: AuthOptions  # noqa: N815
    enableInTreeAutoscaling: bool  # noqa: N815
    autoscalerOptions: AutoscalerOptions  # noqa: N815
    headGroupSpec: HeadGroupSpec  # noqa: N815
    workerGroupSpecs: list[WorkerGroupSpec]  # noqa: N815


class Metadata(_Strict):
    name: DnsName


class RayCluster(_Strict):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec
