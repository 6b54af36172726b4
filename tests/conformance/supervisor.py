"""Plays scenarios of supervisor: supervisors are `Supervisor`s and `DynamicSupervisor`s, workers are `GenServer`s."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallFailed,
    ChildError,
    ChildSpec,
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
    SupervisorSpec,
    dynamic_supervisor,
    gen_server,
    process,
    supervisor,
)
from tests.conformance import terms
from tests.conformance.observation import Client, Observation, ms, raised
from tests.conformance.scripted_tree import Crash, Pool, Spec, Tree, Worker

if TYPE_CHECKING:
    from raybeam.actors.kernel.reason import ExitReason

ROOT = ""
DEFAULTS = {"strategy": "one_for_one", "intensity": 1, "period": 5, "auto_shutdown": "never"}


class Play:
    """One scenario under way.

    Processes are found by path: the ids from the root, joined by `/`; the root's own is empty.
    """

    def __init__(self, runtime: Runtime, scenario: dict[str, Any]) -> None:
        self.observation = Observation(runtime)
        self.spec: Spec = scenario["spec"]
        self.attempts: dict[str, int] = {}
        self.workers: dict[str, Pid] = {}
        self.supervisors: dict[str, Pid] = {}
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
        self.workers[path] = pid
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
        self.supervisors[path] = pid
        return pid

    async def start_member(self, pool: str, template: Spec, label: str, behaviour: Spec | None) -> Any:
        """The start function of a simple_one_for_one template."""
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
        flags = {**DEFAULTS, **spec}
        return SupervisorSpec(
            [self.child_spec(path, child, flags["strategy"]) for child in spec.get("children", [])],
            flags["strategy"],
            flags["intensity"],
            flags["period"],
            flags["auto_shutdown"],
        )

    def child_spec(self, path: str, child: Spec, strategy: str = "one_for_one") -> object:
        """A child specification, with the keys that are given and no others."""
        if "not_a_map" in child:
            return terms.read(child["not_a_map"])
        below = f"{path}/{child['id']}" if path else str(child["id"])
        start: object
        if "start" in child:
            start = terms.read(child["start"])
        elif strategy == "simple_one_for_one":
            start = (self.start_member, path, child)
        elif "spec" in child:
            start = (self.start_supervisor, below, child["spec"])
        else:
            start = (self.start_worker, below, child.get("behaviour") or {})
        spec: dict[str, object] = {"id": child["id"], "start": start}
        for key in ("restart", "type", "significant", "modules"):
            if key in child:
                spec[key] = terms.read(child[key])
        if "shutdown" in child:
            spec["shutdown"] = _to_seconds(child["shutdown"])
        return {key: value for key, value in spec.items() if key not in child.get("omit", ())}

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
        match term:
            case Pid():
                return self.observation.who(term)
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
                return self.observation.term(term)

    def _spec_value(self, key: str, value: Any) -> Any:
        if key == "start":
            return "$mfa"
        return _to_ms(value) if key == "shutdown" else self.term(value)

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
        path = "/".join(step["target"])
        pid = self.workers.get(path)
        if pid is None or not process.is_alive(pid):
            pid = self.supervisors.get(path)
        if pid is None or not process.is_alive(pid):
            return "not_alive"
        if step["how"] == "sys_stop":
            await self._sys_stop(pid, terms.read(step["reason"]))
        elif step["how"] in ("kill", "signal"):
            await self._signal(self.stranger, pid, "kill" if step["how"] == "kill" else terms.read(step["reason"]))
        else:
            self.strike(pid, step)
        return "ok"

    async def crash_batch(self, step: Spec) -> Any:
        """Let several children end before their supervisor sees the first end."""
        pid = self.supervisors.get("/".join(step["sup"]))
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
        path = "/".join(call["sup"])
        pid = self.supervisors.get(path)
        if pid is None:
            return "not_alive"
        try:
            return await self._call(pid, path, call)
        except ChildError as error:
            return ["error", self.term(error.reason)]
        except CallFailed as failed:
            return ["EXIT", self.term(failed.cause)]

    async def _call(self, pid: Pid, path: str, call: Spec) -> Any:
        child: object = call.get("id")
        if "pid_of" in call:
            below = "/".join(call["pid_of"])
            child = self.workers.get(below) or self.supervisors.get(below)
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
                return ["ok", {**shown, "shutdown": _to_ms(spec.shutdown_s)}]
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
        try:
            supervisor.check_childspecs(specs, call.get("auto_shutdown"))
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


def _to_seconds(shutdown: Any) -> Any:
    """Milliseconds in seconds; what is no duration stays as it is, to be refused as it is."""
    return shutdown / 1000 if isinstance(shutdown, int) and shutdown > 0 else terms.read(shutdown)


def _to_ms(shutdown: Any) -> Any:
    return round(shutdown * 1000) if isinstance(shutdown, int | float) and shutdown > 0 else shutdown
