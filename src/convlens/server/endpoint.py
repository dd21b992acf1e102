"""What an endpoint is: a path, a function that answers, and a doc that checks what is asked and becomes OpenAPI."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlens.server.refused import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

    from convlens.server.kept import KeptPicture
    from convlens.server.shelf import ServedRun, Shelf

Schema = Mapping[str, Any]
Answer = Any  # plain data, a Later of it, or, of a raw endpoint, a Starlette Response

NONE, ONE, MANY = "none", "one", "many"


@dataclass(frozen=True)
class Doc:
    """`takes` are the fields of the body, or the parameters of a GET, each with its JSON schema.

    `pictures` says how many the endpoint looks at: "none", "one" or "many". The field `run`, and those of the pictures,
    are added by themselves. `answer` are the fields of what it gives.
    """

    summary: str
    takes: Mapping[str, Schema] = field(default_factory=dict)
    answer: Mapping[str, Schema] = field(default_factory=dict)
    pictures: str = NONE
    required: tuple[str, ...] = ()
    media: str = "application/json"


@dataclass(frozen=True)
class Endpoint:
    """`function` is called in a thread, and may take as long as its `long` says: `Limits.seconds` or `long_seconds`.

    A raw endpoint gives a Response of Starlette, such as a picture or a stream of events. What is not light, a POST
    unless it says so, has threads of its own. What is `always` answered counts for no limit: how the server is.
    """

    method: str
    path: str
    function: Callable[[Asked], Answer]
    doc: Doc
    raw: bool = False
    long: bool = False
    light: bool | None = None
    always: bool = False

    @property
    def heavy(self) -> bool:
        return self.method != "GET" if self.light is None else not self.light


@dataclass(frozen=True)
class Unreadable:
    """A picture of several that cannot be read; `place` counts from 0 in the order they were given."""

    place: int
    reason: str


@dataclass(frozen=True)
class Asked:
    """What an endpoint gets. `values` are checked by its doc; what is in the path is among them."""

    shelf: Shelf
    values: dict[str, Any]
    pictures: tuple[KeptPicture, ...] = ()
    places: tuple[int, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    request: Request | None = None
    deadline: float = math.inf  # of time.monotonic(), when nobody waits for the answer any more

    def check_time(self) -> None:
        """For long work, now and then: Refused with 503 where the time is over."""
        if time.monotonic() > self.deadline:
            raise Refused(503, "the answer took too long; ask for less", retry_after=5)

    @property
    def served(self) -> ServedRun:
        """The run that `run` names, the first by default."""
        return self.shelf.served(self.values.get("run"))

    @property
    def picture(self) -> KeptPicture:
        if not self.pictures:
            raise Refused(400, 'no picture came; give one as {"picture": {"base64": "…"}} or {"picture": {"id": "…"}}')
        return self.pictures[0]


@dataclass(frozen=True)
class Later:
    """An answer that others work on: `finish` makes it of what `future` gives, and no thread waits for it."""

    future: Future[Any]
    finish: Callable[[Any], Any]
