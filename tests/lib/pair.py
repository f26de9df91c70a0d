"""Two nodes that find each other by URL alone: one with scheduler and gateway, one with compute and messenger."""
import socket

import harness


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


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
