"""`convlens serve` under load, over loopback: requests a second, how long they take, and what is told to come back.

    python benchmarks/serving.py load [NETWORK] [--clients 1,8,64,128] [--seconds 10]
    python benchmarks/serving.py memory [NETWORK] [--minutes 10]

The server is a process of its own with a run of NETWORK (random weights; mobilenet_v3_large unless another is named,
at its own picture size). Each client is a thread with a connection that stays open: it sends a picture as it is and
waits for the answer, as often as it can; told to come back (503), it waits the seconds of Retry-After. The pictures are
512 JPEGs of 500 × 375 px, drawn by seed 0, so that the server, which keeps 64, decodes each one anew. Clients and
server share the machine.

`load`: for each number of clients answers a second, the median and the 99th percentile of the time of those that were
answered, the share of 503, and how many pictures a batch had.

`memory`: eight clients send pictures, forms of several, pictures that are broken, bodies that are too large and JSON
that is too deep, and ask for what they sent; the memory of the server every half minute, and its slope after the first
quarter of the time.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

import convlens
from convlens.data import usable_cpus
from convlens.training.machine import describe_machine

PICTURES, SIZE = 512, (500, 375)
IMAGE = {"Content-Type": "image/jpeg"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Seen:
    """What came of the requests of all clients."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0
    others: dict[int, int] = field(default_factory=dict)


def drawn_pictures(number: int) -> list[bytes]:
    """JPEGs of coloured clouds."""
    draws = np.random.default_rng(0)
    found = []
    for _ in range(number):
        clouds = Image.fromarray(draws.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(SIZE, Image.BICUBIC)
        written = io.BytesIO()
        clouds.save(written, "JPEG", quality=90)
        found.append(written.getvalue())
    return found


@contextmanager
def server(network: str) -> Iterator[int]:
    """-> its port."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / network
        convlens.create(network, out=run)
        line = [sys.executable, "-m", "convlens", "serve", str(run), "--port", "0", "--json"]
        child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=folder)
        try:
            assert child.stdout is not None
            text = "".join(iter(child.stdout.readline, "}\n")) + "}"
            yield json.loads(text)["port"]
        finally:
            child.terminate()
            child.wait()


def metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def clients(port: int, number: int, seconds: float, send: Callable[..., None]) -> tuple[Seen, float]:
    """`send(connection, number)` over and over, by so many threads -> what came of it, and the seconds it took."""
    seen, lock = Seen(), threading.Lock()
    end = time.perf_counter() + seconds

    def client(place: int) -> None:
        connection, times, refused, others = http.client.HTTPConnection("127.0.0.1", port, timeout=60), [], 0, {}
        turn = place
        while time.perf_counter() < end:
            began = time.perf_counter()
            send(connection, turn)
            response = connection.getresponse()
            response.read()
            turn += number
            if response.status == 200:
                times.append(1000 * (time.perf_counter() - began))
            elif response.status == 503:
                refused += 1
                time.sleep(float(response.headers.get("Retry-After", 1)))
            else:
                others[response.status] = others.get(response.status, 0) + 1
        connection.close()
        with lock:
            seen.milliseconds += times
            seen.refused += refused
            for status, count in others.items():
                seen.others[status] = seen.others.get(status, 0) + count

    threads = [threading.Thread(target=client, args=(place,)) for place in range(number)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen, time.perf_counter() - began


def load(port: int, numbers: list[int], seconds: float) -> None:
    pictures = drawn_pictures(PICTURES)

    def send(connection: http.client.HTTPConnection, turn: int) -> None:
        connection.request("POST", "/v1/predict", pictures[turn % PICTURES], IMAGE)

    clients(port, 2, 1.0, send)  # warms up
    print("| clients | requests/s | p50 ms | p99 ms | 503 | pictures a batch |\n|---:|---:|---:|---:|---:|---:|")
    for number in numbers:
        before = metric(port, "convlens_batches_total"), metric(port, "convlens_batched_pictures_total")
        seen, took = clients(port, number, seconds, send)
        batches = metric(port, "convlens_batches_total") - before[0]
        batched = metric(port, "convlens_batched_pictures_total") - before[1]
        times = sorted(seen.milliseconds)
        asked = len(times) + seen.refused
        assert not seen.others, seen.others
        print(
            f"| {number} | {len(times) / took:,.1f} | {statistics.median(times):,.1f} | "
            f"{times[int(0.99 * (len(times) - 1))]:,.1f} | {seen.refused / asked:.2%} | {batched / batches:.1f} |",
            flush=True,
        )


def mixed(pictures: list[bytes]) -> Callable[..., None]:
    """One of many kinds of requests each time."""
    form = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + one + b"\r\n"
        for one in pictures[:5]
    )
    form += b"--x--\r\n"
    deep = b'{"picture": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"

    def send(connection: http.client.HTTPConnection, turn: int) -> None:
        kind, picture = turn % 16, pictures[turn % PICTURES]
        changed = bytearray(picture)
        changed[random.randrange(200, len(picture))] ^= 255  # so that it is another, and sometimes no picture any more
        if kind == 0:
            connection.request(
                "POST", "/v1/predict", form + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
            )
        elif kind == 1:
            connection.request("POST", "/v1/predict", picture[: len(picture) // 2], IMAGE)
        elif kind == 2:
            connection.request("POST", "/v1/predict", deep, JSON)
        elif kind == 3:
            connection.request("GET", "/v1/run")
        elif kind == 4:
            connection.request("POST", "/v1/predict", json.dumps({"picture": {"id": "0" * 32}}), JSON)
        else:
            connection.request("POST", "/v1/predict", bytes(changed), IMAGE)

    return send


def memory(port: int, minutes: float) -> None:
    send, readings, began = mixed(drawn_pictures(PICTURES)), [], time.perf_counter()
    slices = max(4, round(2 * minutes))
    print("| minutes | requests | memory MiB |\n|---:|---:|---:|")
    total = 0
    for _ in range(slices):
        seen, _ = clients(port, 8, 60 * minutes / slices, send)
        total += len(seen.milliseconds) + sum(seen.others.values())
        assert not [status for status in seen.others if status >= 500], seen.others
        readings.append(((time.perf_counter() - began) / 60, metric(port, "process_resident_memory_bytes") / (1 << 20)))
        print(f"| {readings[-1][0]:.1f} | {total:,} | {readings[-1][1]:.0f} |", flush=True)
    settled = np.array(readings[slices // 4 :])
    slope = np.polyfit(settled[:, 0], settled[:, 1], 1)[0]
    print(f"\n{slope:+.2f} MiB a minute after the first quarter, {total:,} requests, {seen.others}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("load", "memory"))
    parser.add_argument("network", nargs="?", default="mobilenet_v3_large")
    parser.add_argument("--clients", default="1,8,64,128")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    with server(asked.network) as port:
        versions = f"torch {torch.__version__}, Python {platform.python_version()}, convlens {convlens.__version__}"
        machine = f"{describe_machine()['processor']}, {usable_cpus()} of {os.cpu_count()} processors"
        print(f"{asked.network}, {machine}, {versions}\n")
        if asked.mode == "load":
            load(port, [int(number) for number in asked.clients.split(",")], asked.seconds)
        else:
            memory(port, asked.minutes)


if __name__ == "__main__":
    main()
