"""A table of pictures: CSV (comma, semicolon or tab) or Parquet with the columns `path` and `label`.

The order of the columns is free, and they go by other names, too (COLUMNS). A column `part` divides the pictures; those
of one `group`, such as a patient, stay in one part where the table divides nothing. Columns that are not read are told.
Paths are relative to the folder of the table. A missing file is kept, so that the scan lists it. Labels are text; where
all are whole numbers the classes are in the order of the numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convlens.data.images import FileReader, Images, class_named, part_named
from convlens.errors import DataError, MissingExtra, counted, listed

COLUMNS = {
    "path": ("path", "filename", "file", "image", "filepath", "file_path", "file_name", "image_path"),
    "label": ("label", "class", "target", "category", "class_name"),
    "part": ("part", "split"),
    "group": ("group", "group_id", "patient", "patient_id", "patientid", "subject_id"),
}
LEAST_GROUPS = 10  # fewer are rather kinds of pictures, and too few to be divided
DELIMITERS = ",;\t"
CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")
MAX_DIGITS = 1000  # Python reads no number of 4,300


@dataclass(frozen=True)
class Row:
    """One picture; `where` names the row for people, and `part` and `group` may be ""."""

    where: str
    path: str
    label: str
    part: str
    group: str


Rows = tuple[list[Row], dict[str, str], list[str]]  # and what the columns that are read are called, and the others


def open_table(table: Path, *, name: str, source: str) -> Images:
    """A CSV or Parquet file -> Images; raises DataError naming the row or the columns that do not fit."""
    read = _parquet_rows if table.suffix.lower() in PARQUET_SUFFIXES else _csv_rows
    rows, named, unread = read(table)
    if not rows:
        raise DataError(f"{table} has a header and no rows; expected a row per picture")
    for row in rows:
        _check(row)
    classes = _sorted_classes(rows)
    number = {label: index for index, label in enumerate(classes)}
    divided, groups = any(row.part for row in rows), _groups(rows)
    return Images(
        name=name,
        source=source,
        classes=tuple(classes),
        labels=np.array([number[row.label] for row in rows], np.int64),
        reader=FileReader([_locate(table.parent, row.path) for row in rows], [row.path for row in rows]),
        parts=tuple(row.part for row in rows) if divided else None,
        groups=groups,
        notes=(
            f"{counted(len(rows), 'picture')} in {counted(len(classes), 'class', 'classes')} ({table.name})",
            *_group_notes(rows, named.get("group", ""), kept=groups is not None, divided=divided),
            *_unread_notes(unread, divided=divided),
        ),
    )


def _groups(rows: Sequence[Row]) -> tuple[str, ...] | None:
    """None where they are too few to be divided, or each class is one: these are kinds of pictures."""
    groups, labels = {row.group for row in rows} - {""}, {row.label for row in rows}
    divides = len(groups) >= LEAST_GROUPS and len({(row.label, row.group) for row in rows}) > len(labels)
    return tuple(row.group for row in rows) if divides else None


def _group_notes(rows: Sequence[Row], column: str, *, kept: bool, divided: bool) -> Iterator[str]:
    number, alone = len({row.group for row in rows} - {""}), sum(not row.group for row in rows)
    if not kept and number:
        why = f"it names {counted(number, 'group')}, and {LEAST_GROUPS} are needed"
        why = why if number < LEAST_GROUPS else "each class is one group"
        yield f"the column `{column}` keeps no pictures together: {why}"
    elif number:
        how = "" if divided else ", each kept in one part"
        others = f"; {counted(alone, 'picture')} of none" if alone else ""
        yield f"{counted(number, 'group')} by the column `{column}`{how}{others}"


def _unread_notes(unread: Sequence[str], *, divided: bool) -> Iterator[str]:
    if unread:
        yield f"columns not read: {listed(unread)}" + (
            "" if divided else "; one named `part` would divide the pictures"
        )


def _csv_rows(table: Path) -> Rows:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{table}, row {row}: the text is not UTF-8; save the table as UTF-8") from error
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror or error}") from error
    delimiter = _sniff(text)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        if _ends_within_quotes(text, delimiter):
            raise DataError(f"{table} ends within quotes, so that rows are lost; look for a stray quote")
        header = next((cells for cells in lines if any(map(str.strip, cells))), [])
        places = _places(header, table)
        rows = []
        for cells in lines:
            if any(cell.strip() for cell in cells):
                where = f"{table}, row {lines.line_num}"
                _check_width(cells, header, where)
                picked = {name: cells[place].strip() for name, place in places.items() if place < len(cells)}
                rows.append(_row(where, picked, divided="part" in places))
    except csv.Error as error:
        raise DataError(f"{table}, row {lines.line_num}: {error}; expected plain CSV") from error
    return rows, *_columns(header, places)


def _ends_within_quotes(text: str, delimiter: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True):
            pass
    except csv.Error as error:  # strictly, blanks behind a quote are an error, too
        return "end of data" in str(error)
    return False


def _check_width(cells: Sequence[str], header: Sequence[str], where: str) -> None:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise DataError(
            f"{where} has {counted(len(cells), 'cell')}, and the header {counted(len(header), 'column')}; "
            'put quotes around what holds the delimiter: "a, b"'
        )


def _sniff(text: str) -> str:
    """The delimiter that gives the header most of the columns that are read, and then most columns."""
    header = next(filter(str.strip, io.StringIO(text)), "")

    def columns(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
        return sum(name in choices for name in names for choices in COLUMNS.values()), len(names)

    return max(DELIMITERS, key=columns)


def _parquet_rows(table: Path) -> Rows:
    try:
        import pyarrow.parquet
    except Exception as error:  # a broken installation raises more than ImportError
        raise MissingExtra("pyarrow", "parquet", f"reading {table.name}") from error
    try:
        header = pyarrow.parquet.read_schema(table).names
        places = _places(header, table)
        columns = pyarrow.parquet.read_table(table, columns=[header[place] for place in places.values()]).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{table} cannot be read as Parquet: {reason}; write it again") from error
    rows = []
    for number, cells in enumerate(zip(*(columns[header[place]] for place in places.values()), strict=True), start=1):
        where = f"{table}, row {number}"
        picked = {
            name: _text(cell, where) if name != "group" or cell is None or cell != cell else str(cell)
            for name, cell in zip(places, cells, strict=True)
        }
        rows.append(_row(where, picked, divided="part" in places))
    return rows, *_columns(header, places)


def _places(header: Sequence[str], table: Path) -> dict[str, int]:
    """Where path, label and, if there, part and group stand in the header."""
    names = [name.strip().lower() for name in header]
    found_at = ((column, [name for name in choices if name in names]) for column, choices in COLUMNS.items())
    places = {column: names.index(found[0]) for column, found in found_at if found}
    if "path" not in places or "label" not in places:
        found = ", ".join(f"'{name}'" for name in header) or "nothing"
        raise DataError(
            f"{table} has the columns {found}; expected a header with `path` and `label` (and `part`, if divided)"
        )
    return places


def _columns(header: Sequence[str], places: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """What the columns that are read are called, and the others."""
    others = [name.strip() for place, name in enumerate(header) if place not in places.values() and name.strip()]
    return {column: header[place].strip() for column, place in places.items()}, others


def _text(cell: object, where: str) -> str:
    if cell is None or cell != cell:  # NaN, as pandas writes what is not there
        return ""
    if not isinstance(cell, str | int | float):
        raise DataError(f"{where} holds a {type(cell).__name__} value; expected text or a number")
    return str(cell).strip()


def _row(where: str, cells: Mapping[str, str], *, divided: bool) -> Row:
    path, label, part, group = (cells.get(column, "") for column in COLUMNS)
    if divided and not part_named(part):
        raise DataError(f"{where}: the part is '{part}'; expected train, val or test")
    return Row(where, path, class_named(label), part_named(part), class_named(" ".join(group.split())))


def _check(row: Row) -> None:
    for column, value in (("path", row.path), ("label", row.label)):
        if not value:
            raise DataError(f"{row.where}: there is no {column}; fill it in or remove the row")
        if "\0" in value:
            raise DataError(f"{row.where}: the {column} holds a zero byte; expected plain text")
        if "\n" in value or "\r" in value:
            start = value.splitlines()[0][:40]
            raise DataError(f"{row.where}: the {column} goes over several lines ('{start}…'); look for a stray quote")


def _sorted_classes(rows: Sequence[Row]) -> list[str]:
    """Whole numbers are sorted as numbers, 2 before 10; all else as text."""
    labels = sorted({row.label for row in rows})
    if all(label.removeprefix("-").isdecimal() and len(label) < MAX_DIGITS for label in labels):
        labels.sort(key=int)
    return labels


def _locate(folder: Path, path: str) -> Path:
    """The file that a row means; a table from Windows may have backslashes."""
    if "\\" in path:
        with suppress(OSError):  # a name too long for a file
            return folder / (path if (folder / path).exists() else path.replace("\\", "/"))
    return folder / path
