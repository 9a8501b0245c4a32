"""A double of a load balancer: hands each connection to the next of several ports on loopback that takes it.

It asks nobody for their health: a backend that is paused takes connections and does not answer, as in a real cluster
until its balancer notices.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count


@contextmanager
def balanced(ports: Sequence[int]) -> Iterator[int]:
    """Its port."""
    turns = count()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            first = next(turns)
            for n in range(len(ports)):
                with suppress(ConnectionRefusedError):
                    backend = socket.create_connection(("127.0.0.1", ports[(first + n) % len(ports)]), 5)
                    _join(self.request, backend)
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def _join(client: socket.socket, backend: socket.socket) -> None:
    """Both ways, until both are at their end."""
    with client, backend:
        back = threading.Thread(target=_pump, args=(backend, client), daemon=True)
        back.start()
        _pump(client, backend)
        back.join(30)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        source.settimeout(30)
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
