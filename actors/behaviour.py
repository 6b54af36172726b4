"""What every behaviour class has in common: a process that is started, supervised, called and stopped the same way."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import InvalidArgumentsError, ServiceError, UsageError
from .kernel.mailbox import Overflow
from .kernel.regulation.regulation import Regulation

if TYPE_CHECKING:
    from .behaviour_cell import BehaviourCell
    from .kernel.reason import ExitReason
    from .pid import Pid
    from .runtime import Runtime


class Behaviour:
    """Base of `GenServer` and `GenStatem`; derive your class from one of those.

    **Options**, as class attributes: `mailbox_limit` (calls that may wait; more are refused with `Overloaded`;
    default 1000; `None`: any number) and `mailbox_overflow` (which one is refused; default `Overflow.REJECT`, the new
    one). Or `regulation`, a `Regulation`, which takes the place of both (default none); `start` may give another one.
    """

    mailbox_limit: ClassVar[int | None] = 1000
    mailbox_overflow: ClassVar[Overflow] = Overflow.REJECT
    regulation: ClassVar[Regulation | None] = None
    _cell: BehaviourCell[Any]

    def __init_subclass__(cls, **options: object) -> None:
        for option, value in options.items():
            raise UsageError(
                f"class {cls.__name__}(..., {option}={value!r}): options are class attributes, {option} = ..."
            )
        super().__init_subclass__()
        _check_constructor(cls)
        limit: object = cls.mailbox_limit
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise UsageError(f"{cls.__name__}.mailbox_limit={limit!r}: give 1 or more, or None for any number")
        if not isinstance(cls.mailbox_overflow, Overflow):
            policies = ", ".join(f"Overflow.{policy.name}" for policy in Overflow)
            raise UsageError(f"{cls.__name__}.mailbox_overflow={cls.mailbox_overflow!r}: give one of {policies}")
        if not isinstance(cls.regulation, Regulation | None):
            raise UsageError(f"{cls.__name__}.regulation={cls.regulation!r}: give a Regulation, or None for none")

    @classmethod
    def _new_cell(cls, runtime: Runtime, pid: Pid, parent: Pid | None) -> BehaviourCell[Any]:
        """The cell that runs a new instance of this class."""
        raise UsageError(f"{cls.__name__}: derive it from a behaviour such as GenServer or GenStatem")

    @classmethod
    def _new_regulated_cell(
        cls, runtime: Runtime, pid: Pid, parent: Pid | None, regulation: Regulation
    ) -> BehaviourCell[Any]:
        """The cell that runs a new, regulated instance of this class."""
        raise UsageError(f"{cls.__name__} cannot be regulated: only a GenServer or a GenStatem can")

    @property
    def pid(self) -> Pid:
        """The pid of this process."""
        return self._cell.pid

    @property
    def runtime(self) -> Runtime:
        """The runtime that this process lives in."""
        return self._cell.runtime

    async def init(self, *args: Any, **kwargs: Any) -> Any:
        """Set the state up, from the arguments of the start. Default: none taken, nothing done."""
        if args or kwargs:
            given = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
            raise UsageError(
                f"{type(self).__name__} was started with arguments ({given}) but has no init() that takes them"
            )
        return None

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up before the end. Default: nothing to do."""

    def redact(self, state: object) -> object:
        """What of the state a crash report may show. Default: all of it."""
        return state

    def is_answer(self, error: Exception) -> bool:
        """Whether an exception of a handler is an answer rather than a crash. Default: `ServiceError`s are."""
        return isinstance(error, ServiceError | InvalidArgumentsError)

    def _attributes(self) -> dict[str, object]:
        """The attributes of the instance, without the engine's own."""
        return {name: value for name, value in vars(self).items() if name != "_cell"}

    def _set_attributes(self, state: object, setter: str) -> None:
        """Put attributes in place of all there are; `setter` is the method to override for another form."""
        if not isinstance(state, dict):
            raise UsageError(f"{type(self).__name__}: state must be a dict of attributes, or override {setter}()")
        cell = vars(self).get("_cell")
        vars(self).clear()
        vars(self).update(state)
        if cell is not None:
            self._cell = cell


def _check_constructor(behaviour: type) -> None:
    """A behaviour's instances are made by the engine, without arguments."""
    constructor: object = vars(behaviour).get("__init__", object.__init__)
    if constructor is object.__init__ or not callable(constructor):
        return
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    needed = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        arguments = ", ".join(needed)
        raise UsageError(
            f"{behaviour.__name__}.__init__(self, {arguments}): a behaviour is made without arguments; write "
            f"async def init(self, {arguments}), which gets those of the start"
        )
