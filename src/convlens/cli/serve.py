"""`convlens serve`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from threading import Thread
from typing import Annotated, Any
from urllib.parse import quote

import typer

from convlens.cli.guard import guarded
from convlens.cli.options import Engine, Json, Network
from convlens.cli.output import print_json
from convlens.errors import Stopped

EXAMPLE = "convlens serve runs/demo"


@guarded
def serve(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; the first is the default.")],
    host: Annotated[str, typer.Option(help="Address to listen on; this machine alone by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(help="Every call must then come with this token.")] = None,
    engine: Engine = "plain",
    max_megabytes: Annotated[int, typer.Option(help="Size of a picture, or of several in one call.")] = 32,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
    network: Network = None,
    as_json: Json = False,
) -> None:
    """Serve runs to your own programs, and as a page that shows what is inside, on this machine."""
    from convlens import server

    def listening(result: Any) -> None:
        if as_json:
            print_json(result)
        else:
            elsewhere = f", from other machines {result.url_elsewhere}" if result.url_elsewhere else ""
            print(f"{', '.join(result.runs)}: {result.url}{elsewhere} (Ctrl-C ends it)")
        sys.stdout.flush()
        if open_page:
            address = result.url + (f"#token={quote(token, safe='')}" if token else "")
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    try:
        server.serve(
            runs,
            host=host,
            port=port,
            token=token,
            engine=engine,
            network=network,
            limits=server.Limits.with_body(max_megabytes),
            listening=listening,
            tell=lambda text: print(text, file=sys.stderr),
        )
    except Stopped as stopped:
        if server.still_computing():  # an answer that nobody waits for any more must not hold up the end
            print(f"convlens: {stopped}", file=sys.stderr, flush=True)
            os._exit(stopped.exit_status)
        raise
