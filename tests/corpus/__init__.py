"""Tests that read the reference captures."""
