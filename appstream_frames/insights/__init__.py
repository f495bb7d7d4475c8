"""Verdicts at one moment: how old an image's agent and base are, and by which yardstick.

In: DataFrames of one snapshot and the reference tables in ``data/``. Out: DataFrames with a verdict and its reason.
"""
