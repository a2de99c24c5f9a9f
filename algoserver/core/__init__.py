"""The pure machine: step(state, event) -> commands. No clock, file, socket, thread or random number in here."""
