"""The command ``appstream-frames``, for terminals and for schedulers.

In: arguments of a shell. Out: tables, JSON or files, and an exit code that says
whether everything was read.
"""
