"""Plays scenarios of supervisor: supervisors are `Supervisor`s and `DynamicSupervisor`s, workers are `GenServer`s."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallFailed,
    ChildError,
    Exit,
    GenServer,
    Ignore,
    InvalidSpecError,
    Pid,
    Restarting,
    Runtime,
    Started,
    StartError,
    StartIgnored,
    SupervisorReport,
    dynamic_supervisor,
    gen_server,
    process,
    supervisor,
)
from tests.conformance import terms
from tests.conformance.observation import Client, ms, raised
from tests.conformance.scripted_tree import Crash, Pool, Spec, Tree, TreeObservation, Worker
from tests.conformance.specifications import child_specification, path_of, supervisor_specification, to_ms

if TYPE_CHECKING:
    from raybeam.actors.kernel.reason import ExitReason

ROOT = ""


class Play:
    """One scenario under way.

    Processes are found by path: the ids from the root, joined by `/`; the root's own is empty.
    """

    def __init__(self, runtime: Runtime, scenario: dict[str, Any]) -> None:
        self.observation = TreeObservation(runtime)
        self.spec: Spec = scenario["spec"]
        self.attempts: dict[str, int] = {}
        self.workers: dict[str, Pid] = {}
        self.supervisors: dict[str, Pid] = {}
        self.latest: dict[str, Pid] = {}  # of either kind
        self.reports: list[dict[str, Any]] = []
        self.parent = Client(self.observation, "parent")
        self.stranger = Client(self.observation, "stranger")
        self.calls: dict[str, asyncio.Future[Any]] = {}
        self.strikes: list[asyncio.Future[None]] = []
        self.root_exit: asyncio.Future[ExitReason] | None = None

    # -- processes -------------------------------------------------------------------------------------------------

    def attempt(self, path: str) -> tuple[str, int]:
        """The name of the next start attempt at a path, and its number."""
        number = self.attempts[path] = self.attempts.get(path, 0) + 1
        return f"{path or 'root'}#{number}", number

    async def start_worker(self, path: str, behaviour: Spec) -> Any:
        """The start function of a worker, run by its supervisor."""
        who, number = self.attempt(path)
        outcome = _nth(behaviour.get("init") or ["ok"], number)
        bare = outcome["then"] if isinstance(outcome, dict) else outcome
        match bare:
            case ["error" | "badret" | "raise" as how, term]:
                if isinstance(outcome, dict):
                    with self.observation.working():
                        await ms(outcome["slow_ms"])
                self.observation.record("start", who, res=bare)
                if how == "error":
                    raise StartError(terms.read(term))
                if how == "raise":
                    raise raised(terms.read(term))
                return terms.read(term)
        try:
            pid = await gen_server.start_link(Worker, self, who, outcome, behaviour)
        except StartIgnored:
            self.observation.record("start", who, res="ignore")
            raise
        except StartError as error:
            self.observation.record("start", who, res=["error", self.observation.term(error.reason)])
            raise
        self.observation.record("start", who, res=bare)
        self.workers[path] = self.latest[path] = pid
        if behaviour.get("self_crash") and (crash := _nth(behaviour["self_crash"], number)) is not None:
            asyncio.get_running_loop().call_later(crash["after_ms"] / 1000, self.strike, pid, crash)
        return Started(pid, "extra") if bare == "ok_info" else pid

    async def start_supervisor(self, path: str, spec: Spec) -> Pid:
        """The start function of a supervisor, run by the one above it."""
        who, number = self.attempt(path)
        outcome = _nth(spec.get("init") or ["ok"], number)
        kind: type[GenServer] = Pool if spec.get("strategy") == "simple_one_for_one" else Tree
        try:
            pid = await gen_server.start_link(kind, self, path, who, spec, outcome)
        except StartIgnored:
            self.observation.record("sup_ignore", who)
            raise
        except StartError as error:
            self.observation.record("sup_fail", who, reason=self.term(error.reason))
            raise
        self.observation.came_up(pid)
        self.observation.record("sup_up", who)
        self.supervisors[path] = self.latest[path] = pid
        return pid

    async def start_member(self, pool: str, template: Spec, *arguments: Any) -> Any:
        """The start function of a simple_one_for_one template."""
        if len(arguments) != 2:
            raise raised("badarg")  # a child specification, where Erlang wants a list of arguments
        label, behaviour = arguments
        path = f"{pool}/{label}" if pool else label
        if "spec" in template:
            return await self.start_supervisor(path, template["spec"])
        return await self.start_worker(path, behaviour or template.get("behaviour") or {})

    def sup_init(self, pid: Pid, path: str, who: str, spec: Spec, outcome: Any) -> Any:
        """The own init of a supervisor."""
        self.observation.name(pid, who)
        self.observation.record("sup_init", who)
        match outcome:
            case "ignore":
                return Ignore()
            case ["badret", term]:
                return terms.read(term)
            case ["crash", reason]:
                raise raised(terms.read(reason))
            case ["exit", reason]:
                raise Exit(terms.read(reason))
        children = spec.get("children", [])
        strategy = terms.read(spec.get("strategy", "one_for_one"))
        return supervisor_specification(spec, [self.child_spec(path, child, strategy) for child in children])

    def child_spec(self, path: str, child: Spec, strategy: str = "one_for_one") -> object:
        """The specification of a child below a path."""
        id_ = path_of([child.get("id", "undefined")])
        below = f"{path}/{id_}" if path else id_
        start: tuple[object, ...]
        if strategy == "simple_one_for_one":
            start = (self.start_member, path, child)
        elif "spec" in child:
            start = (self.start_supervisor, below, child["spec"])
        else:
            start = (self.start_worker, below, child.get("behaviour") or {})
        return child_specification(child, start)

    def strike(self, pid: Pid, crash: Spec) -> None:
        """Make a worker crash, without waiting."""
        reason = terms.read(crash.get("reason"))
        if crash["how"] in ("kill", "signal"):
            signal = "kill" if crash["how"] == "kill" else reason
            self.strikes.append(asyncio.ensure_future(self._signal(self.stranger, pid, signal)))
        elif process.is_alive(pid):
            gen_server.tell(pid, Crash(crash["how"], reason))

    async def _signal(self, sender: Client, pid: Pid, reason: ExitReason) -> None:
        async def signal() -> None:
            process.exit_process(pid, reason)

        await sender.do(signal)

    # -- terms -----------------------------------------------------------------------------------------------------

    def term(self, term: object) -> Any:
        """A term as a trace writes it, with supervisors' own kinds."""
        return self.observation.term(term)

    def take_report(self, report: object) -> None:
        """Note a supervisor's report."""
        if not isinstance(report, SupervisorReport):
            return
        shown = {
            "sup": self.observation.who(report.supervisor),
            "context": report.context,
            "reason": self.term(report.reason),
            "child": report.child,
        }
        match report.pid:
            case list() as pids:
                self.reports.append({**shown, "nb_children": len(pids)})
            case Restarting(pid):
                self.reports.append({**shown, "pid": ["restarting", self.term(pid)]})
            case pid:
                self.reports.append({**shown, "pid": self.term(pid)})

    def take_reports(self) -> list[dict[str, Any]]:
        """The reports since the last time."""
        taken, self.reports = self.reports, []
        return taken

    # -- steps -----------------------------------------------------------------------------------------------------

    async def step(self, step: Spec) -> Any:
        """Do one step; what its call returned."""
        match step["op"]:
            case "start":
                return await self.start()
            case "stop":
                return await self.stop(step)
            case "crash":
                return await self.crash(step)
            case "crash_batch":
                return await self.crash_batch(step)
            case "sleep":
                await ms(step["ms"])
                return "ok"
            case "async":
                caller = Client(self.observation, step["tag"])
                self.calls[step["tag"]] = asyncio.ensure_future(caller.do(lambda: self.call(step["call"])))
                return "ok"
            case "await":
                return await self.calls[step["tag"]]
            case _:
                return await self.call(step)

    async def start(self) -> Any:
        """Start the root, linked to the parent."""

        async def start() -> Any:
            process.trap_exit(True)
            try:
                pid = await self.start_supervisor(ROOT, self.spec)
            except StartIgnored:
                return "ignore"
            except StartError as error:
                return ["error", self.term(error.reason)]
            return ["ok", self.observation.who(pid)]

        ret = await self.parent.do(start)
        if isinstance(ret, list) and ret[0] == "ok":
            self.root_exit = asyncio.ensure_future(process.wait_exit(self.supervisors[ROOT]))
        return ret

    async def stop(self, step: Spec) -> str:
        """End the root: by its parent, by `gen_server.stop`, or by killing it."""
        pid = self.supervisors.get(ROOT)
        if pid is None or not process.is_alive(pid):
            return "not_alive"
        reason = terms.read(step.get("reason", "shutdown"))
        match step.get("how", "parent_exit"):
            case "parent_exit":
                await self._signal(self.parent, pid, reason)
            case "sys_stop":
                await self._sys_stop(pid, reason)
            case "kill":
                await self._signal(self.stranger, pid, "kill")
        return "ok"

    async def _sys_stop(self, pid: Pid, reason: ExitReason) -> None:
        try:
            await gen_server.stop(pid, reason)
        except CallFailed:
            return

    async def crash(self, step: Spec) -> str:
        """Make a process end."""
        path = path_of(step["target"])
        pid = self.workers.get(path)
        if pid is None or not process.is_alive(pid):
            pid = self.supervisors.get(path)
        if pid is None or not process.is_alive(pid):
            return "not_alive"
        if step["how"] == "sys_stop":
            await self._sys_stop(pid, terms.read(step.get("reason", "normal")))
        elif step["how"] in ("kill", "signal"):
            await self._signal(
                self.stranger, pid, "kill" if step["how"] == "kill" else terms.read(step.get("reason", "normal"))
            )
        else:
            self.strike(pid, step)
        return "ok"

    async def crash_batch(self, step: Spec) -> Any:
        """Let several children end before their supervisor sees the first end."""
        pid = self.supervisors.get(path_of(step["sup"]))
        if pid is None or not process.is_alive(pid):
            return "not_alive"
        await gen_server.suspend(pid, None)
        told = []
        for crash in step["crashes"]:
            told.append(await self.crash(crash))
            await self.observation.settle()
        await gen_server.resume(pid, None)
        return {"list": told}

    async def call(self, call: Spec) -> Any:
        """Call the API of a supervisor."""
        if call["op"] == "check_childspecs":
            return self.check_childspecs(call)
        path = path_of(call["sup"])
        pid = self.supervisors.get(path)
        if pid is None:
            return "not_alive"
        try:
            return await self._call(pid, path, call)
        except (ChildError, InvalidSpecError) as error:
            return ["error", self.term(error.reason)]
        except CallFailed as failed:
            return ["EXIT", self.term(failed.cause)]

    async def _call(self, pid: Pid, path: str, call: Spec) -> Any:
        child: object = terms.read(call.get("id"))
        if "pid_of" in call:
            child = self.latest.get(path_of(call["pid_of"]))
            if child is None:
                return "not_alive"
        match call["op"]:
            case "start_child" if "child" in call:
                return self._started(await supervisor.start_child(pid, self.child_spec(path, call["child"])))
            case "start_child":
                started = await dynamic_supervisor.start_child(pid, call["label"], call.get("behaviour"))
                return self._started(started)
            case "restart_child":
                return self._started(await supervisor.restart_child(pid, child))
            case "terminate_child":
                await supervisor.terminate_child(pid, child)
                return "ok"
            case "delete_child":
                await supervisor.delete_child(pid, child)
                return "ok"
            case "get_childspec":
                spec = await supervisor.get_childspec(pid, child)
                shown = {key: getattr(spec, key) for key in ("id", "restart", "significant", "type")}
                return ["ok", {**shown, "shutdown": to_ms(spec.shutdown_s)}]
            case "which_children":
                return await self.which_children(pid)
            case "count_children":
                return await self.count_children(pid)
            case "message":
                process.send(pid, terms.read(call["msg"]))
                return "ok"
            case unknown:
                raise ValueError(f"unknown step {unknown!r}")

    def _started(self, started: Started) -> list[Any]:
        who = self.term(started.pid)
        return ["ok", who] if started.extra is None else ["ok", who, self.term(started.extra)]

    def check_childspecs(self, call: Spec) -> Any:
        specs = [self.child_spec(ROOT, child) for child in call["specs"]]
        auto_shutdown = terms.read(call.get("auto_shutdown", "undefined"))
        try:
            supervisor.check_childspecs(specs, None if auto_shutdown == "undefined" else auto_shutdown)
        except InvalidSpecError as error:
            return ["error", self.term(error.reason)]
        return "ok"

    async def which_children(self, pid: Pid) -> list[Any]:
        infos = await supervisor.which_children(pid)
        rows = [[self.term(info.id), self.term(info.child), info.type] for info in infos]
        return sorted(rows) if all(info.id is None for info in infos) else rows

    async def count_children(self, pid: Pid) -> list[int]:
        counts = await supervisor.count_children(pid)
        return [counts.specs, counts.active, counts.supervisors, counts.workers]

    async def snap(self) -> dict[str, Any]:
        """How the whole tree is."""
        root = self.supervisors.get(ROOT)
        if root is None:
            return {"alive": False, "exit": None, "tree": {}}
        if not process.is_alive(root):
            assert self.root_exit is not None
            return {"alive": False, "exit": self.term(await self.root_exit), "tree": {}}
        tree = {}
        for path, pid in self.supervisors.items():
            if process.is_alive(pid):
                children, counts = await self.which_children(pid), await self.count_children(pid)
                tree[path or "root"] = {"children": children, "counts": counts}
        return {"alive": True, "exit": None, "tree": tree}


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play a scenario; its trace."""
    trace: list[dict[str, Any]] = []
    async with Runtime() as runtime:
        scene = Play(runtime, scenario)
        runtime.reports = scene.take_report
        for step in scenario["steps"]:
            ret = await scene.step(step)
            if step.get("settle", True):
                await scene.observation.settle()
                events, reports = scene.observation.take_events(), scene.take_reports()
                trace.append({"ret": ret, "events": events, "reports": reports, "snap": await scene.snap()})
            else:
                trace.append({"ret": ret, "settled": False})
    return trace


def _nth(outcomes: list[Any], attempt: int) -> Any:
    return outcomes[min(attempt, len(outcomes)) - 1]
