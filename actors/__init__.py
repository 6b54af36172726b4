"""Processes, behaviours and supervision: OTP's semantics on asyncio, without Ray."""

if not __name__.startswith("raybeam."):
    raise ImportError(f"import raybeam.{__name__}, not {__name__}: the bare name belongs to other packages")

from . import (
    alarm_handler,
    consumer_supervisor,
    dynamic_supervisor,
    gen_event,
    gen_server,
    gen_stage,
    gen_statem,
    pg,
    process,
    registry,
    supervisor,
    task_supervisor,
)
from .call_context import CallContext, calling_as, current_context
from .child_process import Started
from .consumer_supervisor import ConsumerSpec, ConsumerSupervisor
from .crash import CrashReport
from .decorators import call, query
from .decorators import cast_ as cast
from .distribution import Distribution, PeerDown, PeerUp, Transport
from .dynamic_supervisor import DynamicSupervisor
from .errors import (
    AlreadyRegistered,
    BlueprintError,
    CallbackError,
    CallFailed,
    CallingSelf,
    CallTimeout,
    CircuitOpen,
    ClusterError,
    Disconnected,
    Exit,
    HandlerError,
    Interrupted,
    InvalidArgumentsError,
    MessageTooLarge,
    NoProcess,
    NotAProcessError,
    Overloaded,
    RaybeamError,
    RaybeamInternalError,
    ServiceError,
    StartError,
    StartIgnored,
    UnknownMethodError,
    UnsendableAnswer,
    UsageError,
)
from .event_handler import EventHandler, HandlerExit, HandlerReport, HandlerState
from .gen_event import GenEvent
from .gen_server import GenServer
from .gen_statem import GenStatem
from .iterable_producer import IterableProducer
from .kernel.backoff import Backoff
from .kernel.childspec import ChildSpec, InvalidSpecError
from .kernel.dynamicspec import DynamicSpec
from .kernel.event import RemoveHandler, SwapHandler
from .kernel.hedge import Hedge
from .kernel.mailbox import Overflow
from .kernel.outcome import Outcome
from .kernel.reason import Crashed
from .kernel.regulation.codel import CoDel
from .kernel.regulation.counters import RegulationCounters
from .kernel.regulation.damper import Damper, Sample
from .kernel.regulation.deadline import DeadlineDrop
from .kernel.regulation.fair_queue import Fair
from .kernel.regulation.gradient import Gradient
from .kernel.regulation.priority import Priorities
from .kernel.regulation.refusal import Refusal
from .kernel.regulation.regulation import Regulation
from .kernel.regulation.token_bucket import Rate
from .kernel.retry import AtLeastOnce, AtMostOnce, ExactlyOnce
from .kernel.server import Error, Ignore, NoReply, Ok, Reply, Stop
from .kernel.stage_dispatchers import BroadcastDispatcher, DemandDispatcher, Dispatcher, PartitionDispatcher
from .kernel.stage_options import (
    Consumer,
    Emit,
    Manual,
    Producer,
    ProducerConsumer,
    StageCallResult,
    StageInit,
    StageResult,
    SubscribeResult,
    SubscribeTo,
)
from .kernel.stage_protocol import Subscription
from .kernel.statem_actions import (
    Action,
    ChangeCallbackModule,
    EventTimeout,
    FirstState,
    Hibernate,
    KeepState,
    NamedTimeout,
    NextEvent,
    NextState,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    RepeatState,
    ReplyTo,
    StateResult,
    StateTimeout,
    StopAndReply,
)
from .kernel.statem_events import (
    CallEvent,
    CastEvent,
    EnterEvent,
    EventTimeoutEvent,
    InfoEvent,
    InternalEvent,
    NamedTimeoutEvent,
    StateEvent,
    StateTimeoutEvent,
)
from .kernel.supervision import Restarting
from .kernel.supervisorspec import SupervisorSpec
from .message import Down, ExitMessage, From, Timeout
from .pid import Pid, Ref, RemoteName, Via
from .registry_server import Registered, Registry, RegistrySpec, Unregistered
from .requests import Response
from .result import Broadcast, Result
from .runtime import Runtime
from .stage import GenStage
from .supervisor import Supervisor
from .supervisor_calls import ChildCounts, ChildError, ChildInfo, RestartWindow
from .supervisor_report import SupervisorReport
from .task import Completed, Exited, Task, TaskReply
from .task_supervisor import TaskSupervisor

__all__ = [
    "Runtime",
    "process",
    "Pid",
    "Ref",
    "RemoteName",
    "Distribution",
    "Transport",
    "PeerUp",
    "PeerDown",
    "gen_server",
    "GenServer",
    "CallContext",
    "calling_as",
    "current_context",
    "gen_statem",
    "GenStatem",
    "gen_stage",
    "GenStage",
    "IterableProducer",
    "consumer_supervisor",
    "ConsumerSupervisor",
    "ConsumerSpec",
    "Producer",
    "ProducerConsumer",
    "Consumer",
    "SubscribeTo",
    "Subscription",
    "Emit",
    "Manual",
    "StageInit",
    "StageResult",
    "StageCallResult",
    "SubscribeResult",
    "Dispatcher",
    "DemandDispatcher",
    "BroadcastDispatcher",
    "PartitionDispatcher",
    "pg",
    "alarm_handler",
    "gen_event",
    "GenEvent",
    "EventHandler",
    "RemoveHandler",
    "SwapHandler",
    "HandlerExit",
    "HandlerReport",
    "HandlerState",
    "supervisor",
    "Supervisor",
    "SupervisorSpec",
    "ChildSpec",
    "Backoff",
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
    "Started",
    "ChildInfo",
    "ChildCounts",
    "RestartWindow",
    "Restarting",
    "call",
    "cast",
    "query",
    "AtLeastOnce",
    "ExactlyOnce",
    "Hedge",
    "Outcome",
    "Result",
    "Broadcast",
    "AtMostOnce",
    "Overflow",
    "Regulation",
    "CoDel",
    "Rate",
    "Gradient",
    "Priorities",
    "Fair",
    "DeadlineDrop",
    "Damper",
    "Sample",
    "Refusal",
    "RegulationCounters",
    "Ok",
    "Ignore",
    "Error",
    "Reply",
    "NoReply",
    "Stop",
    "NextState",
    "KeepState",
    "RepeatState",
    "StopAndReply",
    "StateResult",
    "FirstState",
    "Action",
    "ReplyTo",
    "Postpone",
    "NextEvent",
    "StateTimeout",
    "EventTimeout",
    "NamedTimeout",
    "Hibernate",
    "ChangeCallbackModule",
    "PushCallbackModule",
    "PopCallbackModule",
    "StateEvent",
    "CallEvent",
    "CastEvent",
    "InfoEvent",
    "InternalEvent",
    "StateTimeoutEvent",
    "EventTimeoutEvent",
    "NamedTimeoutEvent",
    "EnterEvent",
    "From",
    "Response",
    "Down",
    "ExitMessage",
    "Timeout",
    "CrashReport",
    "Crashed",
    "Exit",
    "RaybeamError",
    "UsageError",
    "BlueprintError",
    "CallbackError",
    "InvalidArgumentsError",
    "UnknownMethodError",
    "NotAProcessError",
    "HandlerError",
    "AlreadyRegistered",
    "StartError",
    "ChildError",
    "InvalidSpecError",
    "StartIgnored",
    "CallFailed",
    "CallTimeout",
    "CallingSelf",
    "CircuitOpen",
    "MessageTooLarge",
    "UnsendableAnswer",
    "NoProcess",
    "Disconnected",
    "Interrupted",
    "Overloaded",
    "ServiceError",
    "ClusterError",
    "RaybeamInternalError",
]
