"""Two nodes that find each other by URL alone: one with scheduler and gateway, one with compute and messenger."""
import random
import socket

import harness


def free_port():
    """One that is free now, below those that the kernel gives to whoever connects: it must still be free after a restart."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Pair(harness.Node):
    """Seen as the node that computes; what it has not, it asks the other one for. Both are killed and started together."""

    data_is_apart = True

    def __init__(self):
        port = free_port()
        self.log_keeper = harness.Node(options=["--units", "scheduler,gateway", "--compute-url", f"http://127.0.0.1:{port}/cu",
                                                "--messenger-url", f"http://127.0.0.1:{port}/mu"])
        self.log_keeper.port = free_port()
        other = f"http://127.0.0.1:{self.log_keeper.port}"
        super().__init__(options=["--units", "compute,messenger", "--scheduler-url", other + "/su", "--gateway-url", other])
        self.port = port

    def start(self, *more, wait_s=60):
        self.log_keeper.environment.update(self.environment)
        self.log_keeper.start()
        return super().start(*more, wait_s=wait_s)

    def stop(self, wait_s=60):
        status = super().stop(wait_s)
        self.log_keeper.stop(wait_s)
        return status

    def kill(self):
        super().kill()
        self.log_keeper.kill()

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        self.log_keeper.__exit__(kind, value, trace)
