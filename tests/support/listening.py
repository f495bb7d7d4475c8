"""How a server of the tests stops: it listens no more, and neither a connection nor a thread of it is left."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress


def hang_up(
    listener: socket.socket, accepting: threading.Thread, serving: Mapping[threading.Thread, socket.socket]
) -> None:
    """Close a listener and end the thread that accepts; then end each connection, and the thread that serves it."""
    with suppress(OSError):  # it is closed already
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join(5)
    listener.close()
    for thread, sock in list(serving.items()):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        if thread is not threading.current_thread():
            thread.join(5)
