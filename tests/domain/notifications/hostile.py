"""Forty names that objects really can have, and that are easily broken on the way from a bucket to a task and back."""

_NFC, _NFD = "caf\u00e9.jpg", "cafe\u0301.jpg"

HOSTILE_KEYS = (
    "plain.jpg",
    "with space.jpg",
    " leading and trailing ",
    "two  spaces.jpg",
    "a+b.jpg",
    "a%20b.jpg",
    "100%.jpg",
    "a%252Fb.jpg",
    "a%2Fb.jpg",
    "a%2Bb+c d.jpg",
    "%00.jpg",
    "%zz%.jpg",
    _NFC,
    _NFD,
    "日本語/写真.jpg",
    "\U0001f408\u200d\u2b1b cat.jpg",
    "\u202egpj.exe",
    "\ufeffmark.jpg",
    "a//b.jpg",
    "/leading.jpg",
    "//two.jpg",
    "../../etc/passwd",
    "a/../b.jpg",
    "./a.jpg",
    "..",
    ".",
    "back\\slash.jpg",
    "C:\\photos\\a.jpg",
    "line\r\nbreak.jpg",
    "\x1b[31mred\x1b[0m.jpg",
    "tab\there.jpg",
    "\x7f\x01.jpg",
    "quote'\"`.jpg",
    "what?x=1&y=2.jpg",
    "part#fragment.jpg",
    "trailing.dot.",
    "<a href='x'>&amp;;:@,=$!*().jpg",
    "~{curly}[square]|^.jpg",
    "d/" * 508 + "deep.jpg",
    "é" * 510 + ".jpg",
)

UNTENABLE_KEYS = ("", "nul\0.jpg", "x" * 1025, "é" * 513)
"""What no key can be."""

assert len(set(HOSTILE_KEYS)) == 40
assert max(len(key.encode()) for key in HOSTILE_KEYS) == 1024
