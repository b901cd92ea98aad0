"""A virtual phone's files: a small tree in memory, shared by its shell and by push and pull."""

import posixpath
import stat
from dataclasses import dataclass, field

MODIFIED = 1_700_000_000
"""Every file's time of change, in seconds since 1970: the phone has no wall clock."""
DIRECTORIES = (
    "/",
    "/data",
    "/data/local",
    "/data/local/tmp",
    "/sdcard",
    "/sdcard/DCIM",
    "/sdcard/Download",
    "/sdcard/Pictures",
    "/system",
)
WRITABLE = ("/sdcard", "/data/local/tmp")
LINKS = {"/storage/emulated/0": "/sdcard", "/storage/self/primary": "/sdcard", "/mnt/sdcard": "/sdcard"}


class FileProblem(Exception):
    """What the phone's system answers instead of a file, in Android's words."""


@dataclass(slots=True)
class FileTree:
    """Directories and files by absolute path."""

    contents: dict[str, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: set(DIRECTORIES))

    def normal(self, path: str) -> str:
        """The absolute path, links followed."""
        path = posixpath.normpath("/" + path.lstrip("/"))
        for link, target in LINKS.items():
            if path == link or path.startswith(link + "/"):
                return target + path[len(link) :]
        return path

    def mode(self, path: str) -> int:
        """The file's type and permissions as `stat` gives them; 0 where there is nothing."""
        path = self.normal(path)
        if path in self.directories:
            return stat.S_IFDIR | 0o771
        return stat.S_IFREG | 0o660 if path in self.contents else 0

    def size(self, path: str) -> int:
        """Length in bytes; directories have one block."""
        path = self.normal(path)
        return 4096 if path in self.directories else len(self.contents.get(path, b""))

    def read(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            FileProblem: there is none.
        """
        path = self.normal(path)
        if path == "/dev/null":
            return b""
        if path in self.directories:
            raise FileProblem("Is a directory")
        if path not in self.contents:
            raise FileProblem("No such file or directory")
        return self.contents[path]

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Make or replace a file.

        Raises:
            FileProblem: not below a place that may be written, or in a directory that is not there.
        """
        path = self.normal(path)
        if path == "/dev/null":
            return
        self._check_place(path)
        if path in self.directories:
            raise FileProblem("Is a directory")
        if posixpath.dirname(path) not in self.directories:
            raise FileProblem("No such file or directory")
        self.contents[path] = (self.contents.get(path, b"") if append else b"") + data

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Make a directory, with those above it where `parents`.

        Raises:
            FileProblem: it is there already, or what it would lie in is not.
        """
        path = self.normal(path)
        if path in self.directories and parents:
            return
        if path in self.directories or path in self.contents:
            raise FileProblem("File exists")
        self._check_place(path)
        if posixpath.dirname(path) not in self.directories:
            if not parents:
                raise FileProblem("No such file or directory")
            self.make_directory(posixpath.dirname(path), parents=True)
        self.directories.add(path)

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, or a directory with all in it where `recursive`.

        Raises:
            FileProblem: there is none, or it may not be removed.
        """
        path = self.normal(path)
        if path in self.contents:
            del self.contents[path]
            return
        if path not in self.directories:
            raise FileProblem("No such file or directory")
        if not recursive:
            raise FileProblem("is directory")
        if path in DIRECTORIES:
            raise FileProblem("Permission denied")
        inside = path + "/"
        self.contents = {name: data for name, data in self.contents.items() if not name.startswith(inside)}
        self.directories = {name for name in self.directories if name != path and not name.startswith(inside)}

    def names(self, path: str) -> list[str]:
        """What lies directly in a directory, sorted."""
        path = self.normal(path)
        return sorted(
            posixpath.basename(name)
            for name in (*self.contents, *self.directories)
            if name != "/" and posixpath.dirname(name) == path
        )

    def _check_place(self, path: str) -> None:
        if not any(path.startswith(place + "/") for place in WRITABLE):
            raise FileProblem("Read-only file system" if path.startswith("/system/") else "Permission denied")
