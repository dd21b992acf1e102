"""All commands, one file each."""

from __future__ import annotations

import typer

from convlens.cli import (
    bench,
    compare,
    create,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    measure,
    predict,
    serve,
    shrink,
    train,
    zoo,
)

app = typer.Typer(
    name="convlens",
    help="Train a convolutional network on your own pictures, see inside it, ship it small.",
    epilog="Begin with: convlens demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def about(version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True)) -> None:
    if version:
        import convlens

        typer.echo(convlens.__version__)
        raise typer.Exit()


COMMANDS = (
    demo,
    zoo,
    create,
    doctor,
    train,
    evaluate,
    predict,
    measure,
    compare,
    explain,
    shrink,
    export,
    serve,
    bench,
)
for command in COMMANDS:
    name = command.__name__.rpartition(".")[2]
    app.command(name, epilog=f"Example: {command.EXAMPLE}")(getattr(command, name))
