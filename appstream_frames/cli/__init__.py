"""The command ``appstream-frames``, for terminals and for schedulers.

In: command-line arguments. Out: tables, JSON or files, and an exit code that says whether everything was read.
"""
