"""Files that are whole or absent: atomic writes, digests, locks, the user cache, downloads."""

from convlens.storage.atomic import (
    check_writable,
    guard,
    remove_leftovers,
    replacing,
    write_bytes,
    write_json,
    write_text,
)
from convlens.storage.cache import CAP_BYTES, cache_dir, make_room, touch
from convlens.storage.digest import sha256_bytes, sha256_file
from convlens.storage.download import download
from convlens.storage.lock import FolderLock
from convlens.storage.packed import pack, unpack

__all__ = [
    "CAP_BYTES",
    "FolderLock",
    "cache_dir",
    "check_writable",
    "download",
    "guard",
    "make_room",
    "pack",
    "remove_leftovers",
    "replacing",
    "sha256_bytes",
    "sha256_file",
    "touch",
    "unpack",
    "write_bytes",
    "write_json",
    "write_text",
]
