"""The functions that act on stages: start, subscribe, cancel, ask, stream. See `GenStage` for the manual."""

from __future__ import annotations

from .gen_server import request, start, start_link, tell
from .iterable_producer import IterableProducer, from_iterable
from .kernel.stage_dispatchers import (
    BroadcastDispatcher,
    Delivery,
    DemandDispatcher,
    Dispatched,
    Dispatcher,
    PartitionDispatcher,
    Refused,
)
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
from .requests import multi_call, receive_response, send_request, wait_response
from .stage import GenStage
from .stage_calls import (
    ask,
    async_resubscribe,
    async_subscribe,
    cancel,
    demand,
    demand_mode,
    discarded_count,
    estimate_buffered_count,
    sync_resubscribe,
    sync_subscribe,
)
from .stage_stream import stream
from .system_calls import change_code, get_state, replace_state, resume, statistics, stop, suspend

__all__ = [
    "BroadcastDispatcher",
    "Consumer",
    "Delivery",
    "DemandDispatcher",
    "Dispatched",
    "Dispatcher",
    "Emit",
    "GenStage",
    "IterableProducer",
    "Manual",
    "PartitionDispatcher",
    "Producer",
    "ProducerConsumer",
    "Refused",
    "StageCallResult",
    "StageInit",
    "StageResult",
    "SubscribeResult",
    "SubscribeTo",
    "Subscription",
    "ask",
    "async_resubscribe",
    "async_subscribe",
    "cancel",
    "change_code",
    "demand",
    "demand_mode",
    "discarded_count",
    "estimate_buffered_count",
    "from_iterable",
    "get_state",
    "multi_call",
    "receive_response",
    "replace_state",
    "request",
    "resume",
    "send_request",
    "start",
    "start_link",
    "statistics",
    "stop",
    "stream",
    "suspend",
    "sync_resubscribe",
    "sync_subscribe",
    "tell",
    "wait_response",
]
