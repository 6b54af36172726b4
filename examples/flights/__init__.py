"""An airline operations centre on the day of a storm: raybeam's main example."""
