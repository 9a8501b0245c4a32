"""Where a span stands in its text, in characters (Unicode code points), whatever its editor counted in.

Used by exports. Pure. Label Studio's editor counts code points today and counted UTF-16 code units before; the words
it keeps with a span tell which: https://labelstud.io/tags/text
"""

from syncd.domain.regions.shapes import Span


def code_points(text: str, span: Span) -> tuple[int, int]:
    """Start and end of the span in `text`, end excluded, within the text and without white space at its edges.

    Empty (start equals end) where nothing but white space is marked. A span that keeps no words, or whose words stand
    at neither place, is taken as code points.
    """
    start, end = span.start, span.end
    said = _dense(span.words)
    if said and _dense(text[start:end]) != said:
        units = text.encode("utf-16-le", "surrogatepass")
        if _dense(_decoded(units[2 * start : 2 * end])) == said:
            start, end = (len(_decoded(units[: 2 * offset])) for offset in (start, end))
    return _trimmed(text, start, min(end, len(text)))


def _decoded(units: bytes) -> str:
    return units.decode("utf-16-le", "replace")


def _dense(words: str) -> str:
    """Without white space, which editors keep in their own ways; written-out line ends included."""
    return "".join(words.replace("\\n", " ").split())


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
