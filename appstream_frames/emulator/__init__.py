"""A loopback AWS behind `sandbox`: AppStream, STS and Organizations over real HTTP, on 127.0.0.1 only.

In: the invented catalogue in ``data/``. Out: what boto3 clients receive. It stores nothing.
"""
