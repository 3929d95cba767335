"""Configuration for the systems that people already run."""
