"""Sigma: rule files, read and checked by pySigma, become rules of ours, or are refused with file, line and reason."""
