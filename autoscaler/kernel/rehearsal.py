"""What a rule would have cost: the load that was seen, played again to a fleet that had followed the rule.

Arrivals do not depend on the capacity, so each rule can be judged by the past although another one was in force.
The queue is taken as a fluid: what it costs to be a little early or late is the same, and a step is a few additions.
"""

from __future__ import annotations

from dataclasses import dataclass

IDLE_PLACE = 0.25
"""Price of an empty place on a machine, against 1 of a replica."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What replicas and lateness cost in a rehearsal, and how long things take.

    Attributes:
        step_s: Seconds of a step.
        start_steps: Steps in which a replica starts.
        boot_steps: Steps in which a machine boots.
        linger_steps: Steps that an empty machine stays.
        places: Replicas that fit on a machine.
        wait_s: Wait from which on a request is late.
        price: Cost of a late request over the cost of serving it; paid again at five times the wait.
    """

    step_s: float
    start_steps: int
    boot_steps: int
    linger_steps: int
    places: int
    wait_s: float
    price: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A fleet that follows a rule.

    Attributes:
        loss: Replica-seconds, idle places and the price of lateness, so far; older ones weigh less.
        backlog: Work that waits, replica-seconds.
        wishes: Replicas wanted in the latest steps.
        ordered: Places on machines that are up or ordered, in the latest steps.
        spare_steps: For how long there have been more than were needed.
    """

    loss: float = 0.0
    backlog: float = 0.0
    wishes: tuple[float, ...] = ()
    ordered: tuple[int, ...] = ()
    spare_steps: int = 0

    def step(self, wish: float, places: float, work: float, stage: Stage, keep: float = 1.0) -> Rehearsal:
        """After one more step.

        Args:
            wish: Replicas that the rule wants, besides those that drain the backlog.
            places: Places on machines that it wants at least.
            work: What came, replica-seconds.
            stage: What things cost.
            keep: Weight of all earlier losses.

        >>> stage = Stage(1.0, 2, 5, 10, places=5, wait_s=1.0, price=10.0)
        >>> Rehearsal(wishes=(5.0, 5.0), ordered=(5, 5)).step(5.0, 0.0, 4.0, stage).loss
        5.0
        """
        step_s, backlog, wishes, ordered = stage.step_s, self.backlog, self.wishes, self.ordered
        if backlog > 0:
            rate = work / step_s if work > step_s else 1.0
            clear_s = (backlog * stage.start_steps * step_s / (stage.price * rate)) ** 0.5
            extra = backlog / (clear_s if clear_s > 2.5 else 2.5)
            wish += extra
        if wishes and wish < wishes[-1] and backlog > 0:
            wish = wishes[-1]
        wanted = wish if wish > places else places
        per = stage.places
        wanted = -int(-wanted // per) * per
        spare = 0
        if ordered and wanted < ordered[-1]:
            spare = self.spare_steps + 1
            if spare <= stage.linger_steps and wanted >= places:
                wanted = ordered[-1]
        up = min(ordered) if ordered else wanted
        if up > wanted:
            up = wanted
        placed = wish if wish < up else up
        ready = min(wishes) if wishes else placed
        if ready > placed:
            ready = placed
        backlog += work - ready * step_s
        late = 0
        if backlog > 0:
            if backlog > ready * stage.wait_s:
                late = 2 if backlog > 5 * ready * stage.wait_s else 1
        else:
            backlog = 0.0
        loss = self.loss * keep + (placed + IDLE_PLACE * (wanted - placed)) * step_s + late * stage.price * work
        if len(wishes) >= stage.start_steps:
            wishes = wishes[1:]
        if len(ordered) >= stage.boot_steps:
            ordered = ordered[1:]
        return Rehearsal(loss, backlog, (*wishes, placed), (*ordered, wanted), spare)
