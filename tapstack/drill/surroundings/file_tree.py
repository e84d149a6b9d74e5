"""Files that say values: written out for a script's commands, and read when those have written.

Not done here: what the values mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tapstack.drill.surroundings.watching_files import FileWatcher


class Values(dict[str, str]):
    """What the files below one folder are to say, by their paths, and what of it is new."""

    def __init__(self, values: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(values)
        self.news: set[str] = set()
        """Paths whose values were changed since the files were last written."""

    def change(self, name: str, value: str) -> None:
        """Have a file say something else."""
        self[name] = value
        self.news.add(name)


class FileTree:
    """The files below one folder."""

    def __init__(self, folder: Path, watcher: FileWatcher) -> None:
        self._prefix = f"{folder}/"
        self._watcher = watcher
        self._said: dict[str, str] = {}
        self._shown: Values | None = None
        self._watched: set[str] = set()
        folder.mkdir()

    def show(self, values: Values) -> None:
        """Have the files say these values, and no others be there. Raises: OSError."""
        if values is not self._shown:
            values.news = {name for name, _ in values.items() - self._said.items()}
            for name in self._said.keys() - values.keys():
                with suppress(FileNotFoundError):
                    os.unlink(self._prefix + name)
                del self._said[name]
            self._shown = values
        if values.news:
            self._write(values, [n for n in values.news if values[n] != self._said.get(n)])
            values.news.clear()

    def _write(self, values: Values, names: list[str]) -> None:
        folders = {os.path.dirname(self._prefix + name) for name in names} - self._watched
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
        for name in names:
            self._said[name] = value = values[name]
            with open(self._prefix + name, "w") as file:
                file.write(f"{value}\n" if value else "")
        for folder in folders:
            self._watcher.watch(folder)
        self._watched |= folders

    def changed(self, written: list[str]) -> Iterator[tuple[str, str]]:
        """Give name and text of those of the written files that say something else now."""
        for path in written:
            if path.startswith(self._prefix) and os.path.isfile(path):
                name = path.removeprefix(self._prefix)
                with open(path, errors="replace") as file:
                    text = file.read()
                if name not in self._said:
                    os.unlink(path)  # as if it could not have been made
                elif text.rstrip("\n") == self._said[name]:
                    continue
                else:
                    said, self._said[name] = self._said[name], text.rstrip("\n")
                    text = text.removeprefix(f"{said}\n")  # what was appended takes its place
                yield name, text
