"""Tells whether the process in this container is well: `python health.py ADDRESS`, exit status 0 or 1.

A `host:port` is asked by gRPC's health protocol, an `http://` address by GET: any answer below 500 is a sign of life.
Stands alone in the image, so that it serves processes without `kit` too.
"""

from __future__ import annotations

import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

# Shorter than the health check's own limit (Dockerfile), so that the reason gets into its log. Seconds.
_LIMIT_SECONDS = 3.0


def answers_http(url: str) -> bool:
    """Whether the address answers, and with less than 500."""
    try:
        with urlopen(url, timeout=_LIMIT_SECONDS) as answer:  # noqa: S310 - the image's own address
            return int(answer.status) < 500
    except HTTPError as refusal:
        with refusal:
            return refusal.code < 500
    except (URLError, OSError):
        return False


def serves_grpc(address: str) -> bool:
    """Whether the server at `host:port` says that it serves."""
    # Here, because an image without gRPC has no such package.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_LIMIT_SECONDS, wait_for_ready=True
            )
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: health.py HOST:PORT | http://ADDRESS\n")
        return 1
    address = arguments[0]
    well = answers_http(address) if address.startswith("http://") else serves_grpc(address)
    sys.stdout.write(f"{address} {'is well' if well else 'does not serve'}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
