"""Audit and logging for Kata Containers: bytes become evidence before they become opinion."""

__version__ = "0.1.0"
