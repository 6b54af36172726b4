"""The supervisor's kernel, where an order of events matters that processes rarely show."""

from raybeam.actors import Backoff, ChildSpec
from raybeam.actors.kernel import supervision
from raybeam.actors.kernel.intensity import Limit
from raybeam.actors.kernel.supervision import Ended, Exit, Request, Retry, RetryRestart, Start, Started, StartFailed

Effects = tuple[supervision.Effect, ...]


def nothing() -> None:
    """Stands where a start function would."""


def spec(name: str, restart: str = "permanent", *, significant: bool = False) -> ChildSpec:
    return ChildSpec(name, nothing, restart, significant=significant)


class Kernel:
    """Feeds events to a kernel; each child is up as `<id>#1` at first."""

    def __init__(self, *specs: ChildSpec, **flags: object) -> None:
        options = supervision.Flags(limit=Limit(5, 10.0), **flags)  # type: ignore[arg-type]
        children = (supervision.Child(spec, f"{spec.id}#1") for spec in specs)
        self.state = supervision.Supervision(options, supervision.Children.of(children))

    def feed(self, event: supervision.Event, now: float = 0.0, chance: float = 0.0) -> Effects:
        self.state, effects = supervision.step(self.state, event, now, chance)
        return effects


def retry_of(effects: Effects) -> Retry:
    [retry] = [effect for effect in effects if isinstance(effect, Retry)]
    return retry


def test_a_significant_child_that_waits_for_its_restart_is_not_gone() -> None:
    kernel = Kernel(
        spec("a", "transient", significant=True),
        spec("b", "transient", significant=True),
        auto_shutdown="all_significant",
    )
    kernel.feed(Ended("a#1", "boom"))
    retry_of(kernel.feed(StartFailed("a", "no")))

    assert kernel.feed(Ended("b#1", "normal")) == ()
    kernel.feed(Request("terminate_child", "a"))
    kernel.feed(Request("restart_child", "b"))
    kernel.feed(Started("b", "b#2"))
    assert Exit("shutdown") in kernel.feed(Ended("b#2", "normal"))


def test_a_retry_that_was_called_off_is_not_taken_for_a_later_one() -> None:
    kernel = Kernel(spec("a"))

    def fail(pid: str) -> Retry:
        kernel.feed(Ended(pid, "boom"))
        return retry_of(kernel.feed(StartFailed("a", "no")))

    early = fail("a#1")
    kernel.feed(Request("terminate_child", "a"))
    kernel.feed(Request("restart_child", "a"))
    kernel.feed(Started("a", "a#2"))
    late = fail("a#2")

    assert kernel.feed(RetryRestart("a", early.number)) == ()
    [start] = kernel.feed(RetryRestart("a", late.number))
    assert isinstance(start, Start)


def test_the_delay_grows_with_each_failure_and_the_jitter_is_given() -> None:
    kernel = Kernel(spec("a"), backoff=Backoff(first_delay_s=1.0, jitter=0.5, reset_after_s=60.0))
    first = retry_of(kernel.feed(Ended("a#1", "boom"), now=1.0, chance=0.0))
    kernel.feed(RetryRestart("a", first.number), now=2.0)
    second = retry_of(kernel.feed(StartFailed("a", "no"), now=2.0, chance=1.0))
    kernel.feed(RetryRestart("a", second.number), now=3.0)
    kernel.feed(Started("a", "a#2"), now=3.0)
    recovered = retry_of(kernel.feed(Ended("a#2", "boom"), now=63.0))

    assert [retry.delay_s for retry in (first, second, recovered)] == [1.0, 1.0, 1.0]
    assert [restart.at for restart in kernel.state.restarts] == [63.0]


def test_the_loss_of_one_machine_is_counted_once_for_all_children_it_took() -> None:
    kernel = Kernel(*(spec(name) for name in "abcdefgh"))
    for name in "abcdefgh":
        effects = kernel.feed(Ended(f"{name}#1", ("noconnection", "machine-3")))
        assert not any(isinstance(effect, Exit) for effect in effects)
        kernel.feed(Started(name, f"{name}#2"))

    assert len(kernel.state.restarts) == 1
