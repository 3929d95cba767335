"""The vocabulary: one column, one definition, one place. Pure: no I/O, no clock."""
