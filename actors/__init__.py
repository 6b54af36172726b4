"""Processes, behaviours and supervision: OTP's semantics on asyncio, without Ray."""

if not __name__.startswith("raybeam."):
    raise ImportError(f"import raybeam.{__name__}, not {__name__}: the bare name belongs to other packages")

from . import dynamic_supervisor, gen_server, process, registry, supervisor, task_supervisor
from .crash import CrashReport
from .dynamic_supervisor import DynamicSpec, DynamicSupervisor
from .errors import (
    AlreadyRegistered,
    BlueprintError,
    CallFailed,
    CallTimeout,
    ClusterError,
    Disconnected,
    Exit,
    InvalidArgumentsError,
    NoProcess,
    NotAProcessError,
    Overloaded,
    RaybeamError,
    RaybeamInternalError,
    ServiceError,
    StartError,
    StartIgnored,
    UsageError,
)
from .gen_server import GenServer
from .interface import call, query
from .interface import cast_ as cast
from .kernel.mailbox import Overflow
from .kernel.reason import Crashed
from .kernel.retry import AtLeastOnce, AtMostOnce
from .kernel.server import Error, Ignore, NoReply, Ok, Reply, Stop
from .message import Down, ExitMessage, From, Timeout
from .pid import Pid, Ref, Via
from .registry import Registered, Registry, RegistrySpec, Unregistered
from .runtime import Runtime
from .supervisor import ChildError, ChildSpec, InvalidSpecError, Supervisor, SupervisorReport, SupervisorSpec
from .task import Completed, Exited, Task, TaskReply
from .task_supervisor import TaskSupervisor

__all__ = [
    "Runtime",
    "process",
    "Pid",
    "Ref",
    "gen_server",
    "GenServer",
    "supervisor",
    "Supervisor",
    "SupervisorSpec",
    "ChildSpec",
    "dynamic_supervisor",
    "DynamicSupervisor",
    "DynamicSpec",
    "task_supervisor",
    "TaskSupervisor",
    "Task",
    "Completed",
    "Exited",
    "TaskReply",
    "registry",
    "Registry",
    "RegistrySpec",
    "Registered",
    "Unregistered",
    "Via",
    "SupervisorReport",
    "call",
    "cast",
    "query",
    "AtLeastOnce",
    "AtMostOnce",
    "Overflow",
    "Ok",
    "Ignore",
    "Error",
    "Reply",
    "NoReply",
    "Stop",
    "From",
    "Down",
    "ExitMessage",
    "Timeout",
    "CrashReport",
    "Crashed",
    "Exit",
    "RaybeamError",
    "UsageError",
    "BlueprintError",
    "InvalidArgumentsError",
    "NotAProcessError",
    "AlreadyRegistered",
    "StartError",
    "ChildError",
    "InvalidSpecError",
    "StartIgnored",
    "CallFailed",
    "CallTimeout",
    "NoProcess",
    "Disconnected",
    "Overloaded",
    "ServiceError",
    "ClusterError",
    "RaybeamInternalError",
]
