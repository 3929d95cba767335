"""I/O in: what reads bytes from the outside world as chunks."""
