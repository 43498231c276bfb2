"""Parse JSON text to values that know their position, and continue after mistakes so that one run shows all."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from json import JSONDecodeError, decoder
from typing import Any, Final, NoReturn

from monai_auxops.migrate.diagnostics import Log, Where
from monai_auxops.migrate.reading.node import Node

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_COMMENT: Final = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?(?![\w.])")
_WORD: Final = re.compile(r"[A-Za-z_+-][\w.+-]*")
_SINGLE: Final = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
_LITERALS: Final = {"true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf")}
_MISSPELLED: Final = {"True": True, "False": False, "None": None, "yes": True, "no": False, "nil": None}
_DEPTH: Final = 60
_MISTAKES: Final = 1000
_scan_string: Final[Callable[[str, int, bool], tuple[str, int]]] = vars(decoder)["scanstring"]


class _StopError(Exception):
    """The text cannot be parsed any further."""


def parse(data: bytes, file: str, log: Log) -> Node | None:
    """Parse a configuration; problems go to the log. Return None if no object could be read."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        log.add("CT106", Where(file), f"not UTF-8 text (byte {error.start})")
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        log.add("CT108", Where(file, 1, 1), "the file starts with a byte order mark")
    return _JsonReader(text, file, log).read()


class _JsonReader:
    def __init__(self, text: str, file: str, log: Log) -> None:
        self.text, self.file, self.log = text, file, log
        self.at = self.mistakes = 0
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def read(self) -> Node | None:
        try:
            self.skip()
            if self.at == len(self.text):
                self.stop("the file is empty", "CT106")
            root = self.value("", 0)
            self.skip()
            if self.at < len(self.text):
                self.report("CT101", f"{self.here()} after the end of the object")
        except _StopError:
            return None
        if not isinstance(root.value, dict):
            self.log.add("CT106", root.where, "the file does not hold a JSON object")
            return None
        return root

    def where(self, path: str = "", at: int | None = None) -> Where:
        at = self.at if at is None else at
        line = bisect_right(self.lines, at)
        return Where(self.file, line, at - self.lines[line - 1] + 1, path)

    def report(self, code: str, message: str, hint: str = "", at: int | None = None) -> None:
        self.log.add(code, self.where(at=at), message, hint)
        self.mistakes += 1
        if self.mistakes == _MISTAKES:
            self.stop(f"{_MISTAKES} mistakes; the rest of the file was not read", at=at)

    def stop(self, message: str, code: str = "CT101", at: int | None = None) -> NoReturn:
        self.report(code, message, at=at)
        raise _StopError

    def here(self) -> str:
        return repr(self.text[self.at]) if self.at < len(self.text) else "end of file"

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self) -> None:
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            comment = _COMMENT.match(self.text, self.at)
            if comment is None:
                return
            self.report("CT104", f"comment {comment.group().splitlines()[0][:40]!r}")
            self.at = comment.end()

    def value(self, path: str, depth: int) -> Node:
        if depth > _DEPTH:
            self.stop(f"nested deeper than {_DEPTH} levels", "CT106")
        where, char = self.where(path), self.peek()
        if char == "{":
            return Node(self.object(path, depth), where)
        if char == "[":
            return Node(self.array(path, depth), where)
        if char in ('"', "'"):
            return Node(self.string(), where)
        return Node(self.scalar(), where)

    def object(self, path: str, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        for _ in self.entries("}"):
            at = self.at
            if self.peek() not in ('"', "'"):
                self.stop(f"expected a key in double quotes, found {self.here()}")
            key = self.string()
            child = f"{path}.{key}" if path else key
            if key in members:
                self.report("CT105", f'key "{key}" is given twice in one object', at=at)
            self.skip()
            if self.peek() != ":":
                self.stop(f'expected ":" after "{key}", found {self.here()}')
            self.at += 1
            self.skip()
            members[key] = self.value(child, depth + 1)
        return members

    def array(self, path: str, depth: int) -> list[Node]:
        return [self.value(f"{path}[{index}]", depth + 1) for index in self.entries("]")]

    def entries(self, close: str) -> Iterator[int]:
        """Yield at the start of each member; the caller reads it."""
        opened, index, comma = self.at, 0, -1
        self.at += 1
        while True:
            self.skip()
            if self.at >= len(self.text):
                self.stop(f"{self.text[opened]!r} is never closed", at=opened)
            if self.peek() == close:
                if comma >= 0:
                    self.report("CT103", f"comma before {close!r}", at=comma)
                self.at += 1
                return
            if index and comma < 0:
                self.separator(close)
            yield index
            index += 1
            comma = self.comma()

    def comma(self) -> int:
        self.skip()
        if self.peek() != ",":
            return -1
        self.at += 1
        return self.at - 1

    def separator(self, close: str) -> None:
        if self.peek() in "\"'{[":
            self.report("CT101", f'expected "," or {close!r}, found {self.here()}')
            return
        self.stop(f'expected "," or {close!r}, found {self.here()}')

    def string(self) -> str:
        if self.peek() == "'":
            return self.single()
        try:
            text, self.at = _scan_string(self.text, self.at + 1, True)
        except JSONDecodeError as error:
            self.stop(error.msg.removesuffix(" at").lower(), at=error.pos)
        return text

    def single(self) -> str:
        match = _SINGLE.match(self.text, self.at)
        if match is None:
            self.stop("a string in single quotes that does not end")
        self.report("CT107", f"{match.group()[:40]} is in single quotes")
        self.at = match.end()
        return match.group(1)

    def scalar(self) -> Any:
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return self.number(number)
        word = _WORD.match(self.text, self.at)
        if word is None:
            self.stop(f"expected a value, found {self.here()}")
        self.at = word.end()
        return _LITERALS[word.group()] if word.group() in _LITERALS else self.misspelled(word)

    def number(self, match: re.Match[str]) -> int | float:
        if match.group(1) or match.group(2):
            return float(match.group())
        if len(match.group()) > 300:
            self.stop("a number of more than 300 digits", at=match.start())
        return int(match.group())

    def misspelled(self, word: re.Match[str]) -> Any:
        known = {**_LITERALS, **_MISSPELLED}
        near = difflib.get_close_matches(word.group(), known, n=1, cutoff=0.5)
        if not near:
            self.stop(f"{word.group()[:40]!r} is not a JSON value (strings need double quotes)", at=word.start())
        value = known[near[0]]
        meant = near[0] if isinstance(value, float) else str(value).lower().replace("none", "null")
        self.report("CT102", f"{word.group()!r} is not a JSON value", f'did you mean "{meant}"?', at=word.start())
        return value
