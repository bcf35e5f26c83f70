"""Tables, bars and panels on a terminal: the package's own styles, and every other character as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import IO, Any, cast

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn, TextColumn
from rich.segment import Segment
from rich.text import Span, Text

from hybrid_search.printed import plain_stream, sayable, visible

_IN_ASCII = str.maketrans({"━": "=", "─": "-", "…": "~", "╸": "-", "╺": "-", "→": ">", "•": "*"})
"""What the package draws itself, for terminals that cannot: one cell for one cell."""


class Console(RichConsole):
    """A console that takes no markup out of texts, and obeys no control character of theirs.

    Args:
        stderr: print to standard error.
        file: print there instead.
        width: columns, None for those of the terminal.
        record: keep what is printed, for a picture.
    """

    def __init__(
        self, *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None, record: bool = False
    ) -> None:
        where = cast("IO[str]", plain_stream(stderr=stderr)) if file is None else file
        super().__init__(file=where, width=width, record=record, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is drawn, at every depth; texts are made visible before they are folded or cut."""
        drawn = self._visible(renderable) if isinstance(renderable, Text) else renderable
        for segment in super().render(drawn, options):
            yield segment if segment.control else Segment(self._literal(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text of what is given as a string."""
        return super().render_str(self._literal(text), **options)

    def _visible(self, text: Text) -> Text:
        """The same text, its styles where they were."""
        if self._literal(text.plain) == text.plain:
            return text
        literal = [self._literal(character) for character in text.plain]
        starts = list(accumulate(map(len, literal), initial=0))
        shown = text.blank_copy("".join(literal))
        shown.spans = [Span(starts[start], starts[min(end, len(literal))], style) for start, end, style in text.spans]
        return shown

    def _literal(self, text: str) -> str:
        text = visible(text)
        return text if self.encoding.startswith("utf") else sayable(text.translate(_IN_ASCII), self.encoding)


def literal(template: str, style: str = "none") -> TextColumn:
    """A column of a progress bar: ``{task.description}``, whatever that holds."""
    return TextColumn(template, style=style, markup=False)


class _Page(Progress):
    """A progress bar with something above it."""

    above: Callable[[], RenderableType | None] = staticmethod(lambda: None)

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is above, if there is anything, and the bars."""
        page = self.above()
        return [*([] if page is None else [page]), *super().get_renderables()]


def progress_on_stderr(
    *columns: ProgressColumn, above: Callable[[], RenderableType | None] | None = None, **options: Any
) -> Progress:
    """A progress bar on standard error. It leaves the streams guarded: rich's own proxy would obey what it is given.

    ``above`` draws a page above the bar, on a terminal alone.
    """
    console = Console(stderr=True)
    page = _Page(*columns, console=console, redirect_stdout=False, redirect_stderr=False, **options)
    if above is not None and console.is_terminal:
        page.above = above
    return page
