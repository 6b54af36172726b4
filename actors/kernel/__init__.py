"""Pure decisions of the behaviours: frozen data in, frozen data out; time and randomness are passed in."""
