"""Verdicts at one moment: how old an image's agent and base are, who uses the image, and what to do.

In: DataFrames of one snapshot and the reference tables in ``data/``. Out: DataFrames with a verdict and its reason.
"""
