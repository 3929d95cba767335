"""Readers of what programs print of their own values; each takes any text and never more than it may."""
