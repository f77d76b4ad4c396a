"""A full disk, and clients that would fill the memory of the service, while workers go on."""

import os
import resource
import socket
import threading
from contextlib import ExitStack
from itertools import repeat

import pytest

from tunekit.testing.killable import Processes, ServiceProcess, wait_for
from tunekit.testing.service_worker import N_TRIALS
from tunekit.testing.service_workers import ServiceWorkers

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
MAX_RSS = 384 * 2**20
"""Bytes of memory that the service never exceeds; the bodies that it holds may take 256 MiB."""

STUDIES = "/api/v1/projects/default/studies"
LONG = 100 * 2**20

pytestmark = pytest.mark.faults


def test_a_full_disk_loses_no_result_and_workers_go_on_once_there_is_space(tmp_path):
    acknowledged = 0
    for turn in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{turn}.db"
        with Processes(tmp_path) as processes:
            service = ServiceProcess(processes, url)
            at = f"{service.url}/"
            workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
            workers.add("full", "thin")
            workers.wait_for_results(8)
            limits = service.seen.rlimit(resource.RLIMIT_FSIZE)
            service.seen.rlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
            wait_for(lambda s=service: "full disk" in s.log, "for a write to fail")
            assert workers.stored.n_told < N_TRIALS
            service.seen.rlimit(resource.RLIMIT_FSIZE, limits)
            acknowledged += workers.finish()
            service.stop()
    print(
        f"{ROUNDS} full disks, {ROUNDS * N_TRIALS} trials, {acknowledged} acknowledged: "
        "0 lost, 0 doubled, 0 stuck"
    )


def send(service, parts):
    """Send parts until they are refused."""
    try:
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as s:
            for part in parts:
                s.sendall(part)
            while s.recv(65536):
                pass
    except OSError:
        pass  # it did not read on


def post(length, *parts):
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    yield f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()
    yield from parts


def chunked():
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    yield f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    yield from repeat(b"10000\r\n" + b"x" * 65536 + b"\r\n", LONG // 65536)


def headers():
    yield b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    yield from repeat(b"a: b\r\n" * 1000, 1000)


def deep():
    nested = b"[" * 4_000_000 + b"]" * 4_000_000
    return post(len(nested), nested)


HOSTILE = (
    lambda: post(LONG, *repeat(b"x" * 65536, LONG // 65536)), chunked, headers, deep
)  # fmt: skip


def test_hostile_requests_do_not_fill_the_memory_and_workers_go_on(tmp_path):
    highest = 0
    for turn in range(ROUNDS):
        url = f"sqlite:///{tmp_path}/{turn}.db"
        with Processes(tmp_path) as processes, ExitStack() as slow:
            service = ServiceProcess(processes, url)
            at = f"{service.url}/"
            workers = ServiceWorkers(processes, at, tmp_path / f"t{turn}", url)
            workers.add("full")
            for _ in range(100):  # each sends a part of its head, and no more
                s = slow.enter_context(socket.create_connection(("127.0.0.1", service.port)))
                s.sendall(b"GET /api/v1/caller HTTP/1.1\r\nHost: loc")
            threads = [
                threading.Thread(target=send, args=(service, make()))
                for make in HOSTILE
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    highest = max(highest, service.seen.memory_info().rss)
                    thread.join(0.02)
            highest = max(highest, peak(service))
            assert workers.finish() == N_TRIALS
            service.stop()
    assert highest < MAX_RSS
    print(f"{ROUNDS} rounds of hostile requests: at most {highest >> 20} MiB, 0 lost")


def peak(service):
    """Return the most memory that the service has had, as the kernel counts it."""
    with open(f"/proc/{service.seen.pid}/status") as file:
        line = next(x for x in file if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
