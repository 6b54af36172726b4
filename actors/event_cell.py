"""The engine of `GenEvent`: that of a server, but for the system calls, which go to the handlers one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .server_cell import ServerCell

if TYPE_CHECKING:
    from .gen_event import GenEvent
    from .pid import Pid
    from .runtime import Runtime


class EventCell(ServerCell):
    """A process that runs a `GenEvent`. It traps exits from the start."""

    __slots__ = ("manager",)

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, manager: GenEvent) -> None:
        super().__init__(runtime, pid, parent, manager)
        self.manager = manager
        self.trap_exit = True

    async def serve_state_call(self, operation: str, argument: object) -> object:
        """`get_state`, `replace_state`, `change_code` of the handlers."""
        if operation == "replace_state":
            assert callable(argument)
            self.manager.replace_states(argument)
            return self.manager.get_state()
        if operation == "change_code":
            assert isinstance(argument, tuple)
            await self.manager.upgrade(*argument)
            return None
        return await super().serve_state_call(operation, argument)
