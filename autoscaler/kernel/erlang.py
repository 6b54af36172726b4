"""Erlang's formulas: how likely it is to wait, and how many servers hold a wait.

After A. K. Erlang (1917); the recurrence and the inverse are those of Zeng, *Erlang B and C*, and any telephony text;
the many-servers limit is Halfin and Whitt's (Operations Research 29, 1981); the correction for service times that are
not exponential is Allen and Cunneen's. A load is in erlangs: arrivals a second times seconds of service.
"""

from __future__ import annotations

from math import ceil, erf, exp, inf, isfinite, pi, sqrt

MANY = 400.0
"""Erlangs from which the many-servers limit is used: there it is right to 1 %, and it costs no recurrence."""


def erlang_b(servers: int, load: float) -> float:
    """The share of requests that find all servers busy, where none may wait.

    Args:
        servers: How many there are, 0 or more.
        load: Offered load in erlangs.

    >>> round(erlang_b(10, 5.0), 4)
    0.0184
    """
    check(load=load, servers=servers)
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """The share of requests that must wait; 1 if the servers cannot carry the load.

    >>> round(erlang_c(10, 8.0), 4)
    0.4092
    """
    check(load=load, servers=servers)
    if servers <= load:
        return 1.0
    return delayed(servers, load, halfin_whitt(servers, load) if load > MANY else None)


def delayed(servers: int, load: float, known: float | None = None) -> float:
    """`erlang_c` for servers above the load."""
    if known is not None:
        return known
    blocked = erlang_b(servers, load)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def halfin_whitt(servers: int, load: float) -> float:
    """The share that must wait, in the limit of many servers.

    >>> round(halfin_whitt(1030, 1000.0), 2), round(erlang_c(1030, 1000.0), 2)
    (0.24, 0.24)
    """
    if servers <= load or load <= 0:
        return 1.0 if servers <= load else 0.0
    beta = (servers - load) / sqrt(load)
    if beta > 8:
        return 0.0
    below = 0.5 * (1.0 + erf(beta / sqrt(2.0)))
    density = exp(-beta * beta / 2.0) / sqrt(2.0 * pi)
    return 1.0 / (1.0 + beta * below / density)


def later_than(wait_s: float, servers: int, load: float, service_s: float, cv: float = 1.0) -> float:
    """The share of requests that wait longer than a time.

    Args:
        wait_s: The time, seconds.
        servers: How many there are.
        load: Offered load in erlangs.
        service_s: Mean service time, seconds.
        cv: Coefficient of variation of the service times; 1: exponential, for which the answer is exact.

    >>> round(later_than(1.0, 12, 10.0, 0.5), 4)
    0.0082
    """
    check(load=load, servers=servers, wait_s=wait_s, service_s=service_s, cv=cv)
    if servers <= load:
        return 1.0
    return tail(erlang_c(servers, load), servers - load, wait_s, service_s, cv)


def tail(waits: float, spare: float, wait_s: float, service_s: float, cv: float) -> float:
    """Of those that wait at all, how many wait longer than a time: an exponential of the spare servers.

    Up to the variability of exponential service Allen and Cunneen's factor `(1 + cv^2) / 2` holds. Beyond that it is
    far too large: of many servers only some hold a long request, and the others go on with short ones, so that the
    queue does not feel the whole variance. No formula of two moments can be right there (Gupta, Harchol-Balter, Dai and
    Zwart, Queueing Systems 64, 2010); the geometric mean of 1 and cv^2, which is cv, errs a little to the safe side for
    lognormal times up to cv 5 (a test holds it against the simulator).
    """
    if service_s <= 0:
        return 0.0
    return waits * exp(-spare * wait_s / (service_s * (cv if cv > 1.0 else (1.0 + cv * cv) / 2.0)))


def mean_wait_s(servers: int, load: float, service_s: float, cv: float = 1.0) -> float:
    """Mean wait in seconds; infinite if the servers cannot carry the load.

    >>> mean_wait_s(1, 0.5, 1.0)
    1.0
    >>> mean_wait_s(1, 0.5, 1.0, cv=0.0)
    0.5
    """
    check(load=load, servers=servers, service_s=service_s, cv=cv)
    if servers <= load:
        return inf if load > 0 else 0.0
    return erlang_c(servers, load) * service_s * (1.0 + cv * cv) / 2.0 / (servers - load)


def servers_for(load: float, service_s: float, wait_s: float, share: float = 0.01, cv: float = 1.0) -> int:
    """The fewest servers with which at most a share of the requests waits longer than a time.

    >>> servers_for(10.0, service_s=0.5, wait_s=1.0, share=0.01)
    12
    """
    check(load=load, service_s=service_s, wait_s=wait_s, share=share, cv=cv)
    if not 0 < share < 1:
        raise ValueError(f"share={share!r}: give a share between 0 and 1")
    if load == 0:
        return 0
    servers = int(load) + 1
    if load > MANY:
        while tail(halfin_whitt(servers, load), servers - load, wait_s, service_s, cv) > share:
            servers += 1
        return servers
    blocked = erlang_b(servers, load)
    while True:
        waits = blocked / (1.0 - load / servers * (1.0 - blocked))
        if tail(waits, servers - load, wait_s, service_s, cv) <= share:
            return servers
        servers += 1
        blocked = load * blocked / (servers + load * blocked)


def square_root_staffing(load: float, beta: float = 1.0, peakedness: float = 1.0) -> int:
    """Load plus a multiple of its square root: what many servers need, without any recurrence.

    Args:
        load: Offered load in erlangs.
        beta: Quality of service: 1 lets about a fifth of the requests wait, 2 next to none.
        peakedness: Variance over mean of the busy servers; 1: Poisson arrivals.

    >>> square_root_staffing(100.0)
    110
    """
    check(load=load, beta=beta, peakedness=peakedness)
    return ceil(load + beta * sqrt(load * peakedness))


def cheapest(
    load: float, service_s: float, wait_s: float, price: float, *, slots: int = 1, cv: float = 1.0, grades: int = 2
) -> int:
    """The number of replicas at which replicas and late requests together cost least.

    A late request costs `price` times what serving one costs, and the same again for each grade: waits over 1, 5,
    25 ... times `wait_s`. So the share that may be late need not be chosen: it follows from the price.

    Args:
        load: Offered load in erlangs.
        service_s: Mean service time, seconds.
        wait_s: From which wait on a request is late, seconds.
        price: Cost of a late request in replica-seconds, over the replica-seconds that serve it.
        slots: Requests that a replica serves at once.
        cv: Coefficient of variation of the service times.
        grades: How often the price is paid again, each time at five times the wait.

    >>> cheapest(10.0, service_s=0.5, wait_s=1.0, price=10.0)
    12
    """
    check(load=load, service_s=service_s, wait_s=wait_s, price=price, cv=cv)
    if load == 0 or service_s == 0:
        return 0
    replicas = int(load / slots) + 1
    servers = replicas * slots
    many = load > MANY
    blocked = 0.0 if many else erlang_b(servers, load)
    best, fewest = inf, replicas
    while True:
        waits = halfin_whitt(servers, load) if many else blocked / (1.0 - load / servers * (1.0 - blocked))
        late = sum(tail(waits, servers - load, wait_s * 5.0**grade, service_s, cv) for grade in range(grades))
        cost = replicas + price * load / slots * late
        if cost < best:
            best, fewest = cost, replicas
        if replicas >= best:
            return fewest
        replicas += 1
        for _ in range(slots):
            servers += 1
            if not many:
                blocked = load * blocked / (servers + load * blocked)


def check(**numbers: float) -> None:
    """Refuse what is not a finite number of at least 0."""
    for name, value in numbers.items():
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r}: give a finite number, 0 or more")
