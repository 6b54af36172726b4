"""Pure decisions of what spans machines: frozen data in, frozen data out; time and randomness are passed in."""
