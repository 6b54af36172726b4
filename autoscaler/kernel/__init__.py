"""Decisions about capacity: pure functions over frozen data; time and randomness are passed in."""
