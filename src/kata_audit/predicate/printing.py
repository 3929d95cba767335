"""What the printers for other systems' languages share."""


class CannotPrintError(Exception):
    """A language cannot say a condition. Args: what, for a person."""
