"""Workers and supervisors that start, crash and end as a scenario says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    ChildSpec,
    DynamicSupervisor,
    Exit,
    ExitMessage,
    GenServer,
    Ignore,
    Pid,
    Stop,
    Supervisor,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import Observation, ms, raised
from tests.conformance.specifications import to_ms

if TYPE_CHECKING:
    from raybeam.actors.kernel.reason import ExitReason
    from tests.conformance.supervisor import Play

Spec = dict[str, Any]


class TreeObservation(Observation):
    """Writes supervisors' own kinds of terms, too."""

    def term(self, term: object) -> Any:
        """A term as a trace writes it, with supervisors' own kinds."""
        match term:
            case Pid():
                return self.who(term)
            case ChildSpec():
                return ["$child", term.id]
            case "Tree" | "Pool":
                return "$mod"
            case dict():
                return {"map": [[key, self._spec_value(key, value)] for key, value in sorted(term.items())]}
            case tuple():
                return [self.term(part) for part in term]
            case list():
                return {"list": [self.term(part) for part in term]}
            case _:
                return super().term(term)

    def _spec_value(self, key: str, value: Any) -> Any:
        if key == "start" and isinstance(value, tuple) and value and callable(value[0]):
            return "$mfa"
        return self.term(to_ms(value) if key == "shutdown" else value)


@dataclass(frozen=True)
class Crash:
    """Tells a worker to end: `stop`, `exit` or `error`."""

    how: str
    reason: object


class Worker(GenServer):
    """A worker that starts, crashes and ends as its behaviour says."""

    async def init(self, play: Play, who: str, outcome: Any, behaviour: Spec) -> Any:
        self.play = play
        self.who = who
        self.behaviour = behaviour
        play.observation.name(self.pid, who)
        process.trap_exit(behaviour.get("trap_exit", False))
        with play.observation.working():
            if isinstance(outcome, dict):
                await ms(outcome["slow_ms"])
                outcome = outcome["then"]
            match outcome:
                case "ignore":
                    return Ignore()
                case ["stop", reason]:
                    return Stop(terms.read(reason))
                case ["crash", reason]:
                    raise raised(terms.read(reason))
                case ["exit", reason]:
                    raise Exit(terms.read(reason))
        play.observation.came_up(self.pid)
        return None

    async def handle_cast(self, request: object) -> Stop | None:
        match request:
            case Crash("stop", reason):
                return Stop(reason)
            case Crash("exit", reason):
                raise Exit(reason)
            case Crash("error", reason):
                raise raised(reason)
        return None

    async def handle_info(self, message: object) -> None:
        if isinstance(message, ExitMessage):
            self.play.observation.record("exit_msg", self.who, reason=self.play.observation.term(message.reason))

    async def terminate(self, reason: ExitReason) -> None:
        observation = self.play.observation
        observation.record("terminate", self.who, reason=observation.term(reason))
        with observation.working():
            match self.behaviour.get("terminate"):
                case {"hang_ms": duration}:
                    await ms(duration)
                case {"exit": other}:
                    raise Exit(terms.read(other))
                case {"raise": other}:
                    raise raised(terms.read(other))


class Tree(Supervisor):
    """A supervisor of the scenario."""

    async def init(self, play: Play, path: str, who: str, spec: Spec, outcome: Any) -> Any:
        return play.sup_init(self.pid, path, who, spec, outcome)


class Pool(DynamicSupervisor):
    """A simple_one_for_one supervisor of the scenario."""

    async def init(self, play: Play, path: str, who: str, spec: Spec, outcome: Any) -> Any:  # type: ignore[override]
        return play.sup_init(self.pid, path, who, spec, outcome)
