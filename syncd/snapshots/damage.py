"""Tells from what Lance raises whether a file of a table is damaged, or storage is down.

Called by `table.lance_errors`. Pure. Lance 14 has no error class for it: a missing, truncated or flipped file comes as
ValueError, ArrowInvalid, OSError or RuntimeError, or as a panic, which is no Exception at all. So it is read off the
text: what a decoder says, and what a store says of a file or a part of one that is not there. The list was made by
damaging files at random and reading (`tests/snapshots/test_damaged.py` does it again).
"""

import re

MEND = "`syncd snapshot verify` names each such file: restore them from a backup, or open another version"
_DAMAGED = re.compile(
    r"corrupt|failed to decode|Protobuf|Parser error|Ipc error|Schema error|\(Schema\)|Invalid argument error"
    r"|Not found: |was not found|No such file|No such object|NoSuchKey|producer terminated|Task was aborted"
    r"|panicked|internal error|too short"
    r"|failed to fill whole buffer|file size is too small|out of range|Out of range|range end index|InvalidRange"
    r"|416 |Requested Range Not Satisfiable|larger than the object|unexpected EOF|metadata region|null_count"
    r"|Missing ColumnEncoding|encoding envelope|Invalid user input: |UTF-8|utf-8|magic|Invalid range|not valid|overflow"
)
_BUSY = re.compile(r"conflict|Timeout|timed out|concurrent|retry", re.IGNORECASE)


def is_damage(error: BaseException) -> bool:
    """Whether a file of the table is missing or is not as it was written."""
    return is_panic(error) or bool(_DAMAGED.search(str(error)) and not _BUSY.search(str(error)))


def is_panic(error: BaseException) -> bool:
    """Whether Lance's own code gave up: on data no decoder expects."""
    return type(error).__name__ == "PanicException"
