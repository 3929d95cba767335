"""The command: the only room that prints, parses arguments or exits."""
