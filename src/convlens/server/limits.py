"""What a server takes: bytes, pictures, seconds, and how many requests at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

from convlens.errors import check_count, check_number

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. How many pixels a picture may have is `pictures.MAX_PIXELS`.

    `body` is of a picture or of several in one request, `json_body` of a JSON document with pictures in base64, and
    `json_text` of what is left of it without them. `waiting` are requests at once,
    `heavy_waiting` those beside them that take long, `pictures_waiting` pictures that
    wait for a network, `bytes_waiting` the bodies of all requests together.
    """

    body: int = 32 * MIB
    json_body: int = 48 * MIB
    json_text: int = MIB
    json_values: int = 100_000
    pictures: int = 64
    kept_pictures: int = 64
    kept_bytes: int = 128 * MIB
    waiting: int = 64
    heavy_waiting: int = 16
    pictures_waiting: int = 256
    bytes_waiting: int = 256 * MIB
    connections: int = 512
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    seconds: float = 30.0
    long_seconds: float = 120.0

    @classmethod
    def with_body(cls, megabytes: int) -> Limits:
        """Bodies of so many megabytes, half as much again in JSON, which base64 makes longer."""
        size = check_count("--max-megabytes", megabytes) * MIB
        return cls(body=size, json_body=size * 3 // 2, bytes_waiting=max(cls.bytes_waiting, 2 * size))

    def __post_init__(self) -> None:
        for field in fields(self):
            check_number(field.name, getattr(self, field.name), 0, above=True)
