"""The health check that runs inside of a container."""

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deploy.images.health import main


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http_address() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (401, 0), (500, 1), (503, 1)])
def test_a_web_server_is_well_when_it_answers_with_less_than_500(
    http_address: str, status: int, exit_status: int
) -> None:
    assert main([f"{http_address}/{status}"]) == exit_status


def test_nobody_at_the_address_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.images.health._LIMIT_SECONDS", 0.05)
    assert main(["http://127.0.0.1:9"]) == 1
    assert main(["127.0.0.1:9"]) == 1


def test_a_grpc_server_is_well_while_it_says_so() -> None:
    servicer = health.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        assert main([address]) == 0
        servicer.enter_graceful_shutdown()
        assert main([address]) == 1
    finally:
        server.stop(None).wait()


def test_a_wrong_call_is_not_well() -> None:
    assert main([]) == 1
