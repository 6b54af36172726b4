"""What the default policy has to reach: taken from the rows as it is said."""

from dataclasses import replace

from benchmarks.autoscaling.goals import CROWD, beaten, goals
from benchmarks.autoscaling.row import IN_HINDSIGHT, OURS, Row
from benchmarks.autoscaling.scenarios import SCENARIOS

ROW = Row(OURS, "", 1, 1.5, 100.0, 1.0, 0.0, 0.5, 1.0, 1.0, 5, 10.0, None, 1.2, 1.4)
OURS_EVERYWHERE = [
    replace(ROW, trace=each.name, smooth=each.smooth, recovery_s=60.0 if each.name == CROWD else None)
    for each in SCENARIOS
]


def test_every_goal_is_held_against_the_rows() -> None:
    reached = {goal.what: (goal.figures[0], goal.reached) for goal in goals(OURS_EVERYWHERE)}

    assert reached["score, mean of all traces"] == (1.5, True)
    assert reached["score, smooth traces"] == (1.5, False)
    assert reached["actions in an hour of steady load, worst trace"] == (5, True)
    assert reached["flash crowd: recovered after, s"] == (60.0, True)
    assert reached["flash crowd: cost over a clairvoyant's"] == (1.2, True)
    assert len(reached) == 7


def test_the_worst_trace_counts_for_reversals_and_the_mean_of_its_seeds() -> None:
    rough = [
        replace(OURS_EVERYWHERE[0], seed=seed, reversals_per_hour=number) for seed, number in ((2, 70.0), (3, 70.0))
    ]
    [goal] = [each for each in goals([*OURS_EVERYWHERE, *rough]) if each.what.startswith("reversals")]

    assert goal.figures == [50.0]
    assert not goal.reached


def test_only_who_is_cheaper_and_less_late_beats_and_hindsight_does_not_count() -> None:
    ours = OURS_EVERYWHERE[0]
    cheaper = replace(ours, policy="cheaper", cost=50.0, late_1s=2.0)
    better = replace(ours, policy="better", cost=99.0, late_1s=0.5)

    assert beaten(OURS, [ours, cheaper, replace(better, policy=IN_HINDSIGHT)]) == 0
    assert beaten(OURS, [ours, cheaper, better]) == 1


def test_of_some_traces_only_nothing_is_said() -> None:
    assert goals(OURS_EVERYWHERE[1:]) == []
    assert goals([]) == []
