"""Load regulation at the callee: who may wait, who is served next, who is told at once to come again later."""
