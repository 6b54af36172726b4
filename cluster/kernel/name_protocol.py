"""What the name servers of runtimes and the root's authority say to each other about names of the whole system.

They talk in *sessions*. A name server begins one with a `State`, all that it holds and wants, and goes on with `Said`s;
the authority answers with a `Told` of the whole table, and goes on with `Told`s of what changes. Both directions are
numbered, so that what comes twice or out of order does no harm. When either side may have missed something (the
connection was lost, the root is another), the name server begins the next session.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

    from raybeam.actors.pid import Pid


class Rule(Enum):
    """What becomes of two processes that both have a name, after a partition or the loss of a root."""

    RANDOM_EXIT = "random_exit_name"
    RANDOM_NOTIFY = "random_notify_name"
    NOTIFY_ALL = "notify_all_name"
    OWN = "a function"

    def __repr__(self) -> str:
        return self.value


class Fate(Enum):
    """What happens to the process of a claim that is dropped."""

    UNREGISTERED = "unregistered"
    NOTIFIED = "notified"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Claim:
    """A process has a name, or wants it.

    Attributes:
        name: The name.
        pid: The process.
        number: Tells the claim from all others of the process's runtime, ever.
        rule: What decides when another process has the name too.
    """

    name: Hashable
    pid: Pid
    number: int
    rule: Rule


# -- from a name server to the authority -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Want:
    """A process wants a name; with `replace` whoever has it."""

    claim: Claim
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A claim is no more: its process has ended, or gave the name back."""

    number: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to `Decide`: which pid has the name, `None` for neither, or a rule that decides in its place."""

    number: int
    against: Claim
    winner: Pid | Rule | None


@dataclass(frozen=True, slots=True)
class State:
    """A session begins: all claims of a runtime, those that were granted before and those that were not yet."""

    server: Pid
    session: int
    held: tuple[Claim, ...] = ()
    wanted: tuple[Want, ...] = ()


Saying: TypeAlias = Want | Release | Decision


@dataclass(frozen=True, slots=True)
class Said:
    """The `number`th word of a session, counted from 1."""

    server: Pid
    session: int
    number: int
    saying: Saying


# -- from the authority to a name server -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    """A wanted claim has its name."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A wanted claim does not get its name: a living process has it."""

    number: int
    holder: Pid


@dataclass(frozen=True, slots=True)
class Dropped:
    """A held claim is no more: it lost a conflict with `other`, or `other` took its place."""

    number: int
    fate: Fate
    other: Pid


@dataclass(frozen=True, slots=True)
class Released:
    """A `Release` has been taken note of."""

    number: int


@dataclass(frozen=True, slots=True)
class Decide:
    """A held claim with a rule of its own has met `against`, which has the name: who shall have it?"""

    number: int
    against: Claim


Verdict: TypeAlias = Granted | Refused | Dropped | Released | Decide


@dataclass(frozen=True, slots=True)
class Told:
    """The `number`th word of the authority in a session, counted from 0.

    Attributes:
        entries: Who has which name now, `None`: nobody. The whole table in the word with number 0, else what changed.
        verdicts: About claims of this runtime.
    """

    session: int
    number: int
    entries: tuple[tuple[Hashable, Pid | None], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
