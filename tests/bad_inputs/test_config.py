"""Row 49: addresses of a configuration that would have the daemon ask where a cloud keeps its credentials."""

import pytest
from pydantic import ValidationError

from syncd.annotators.label_studio.options import LabelStudioOptions
from syncd.secrets import SecretRef

TOKEN = SecretRef(env="TOKEN")


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "169.254.170.2:80", "[fe80::1]:8080", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166",
     "0251.0376.0251.0376", "169.254.43518"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_link_local_address_of_label_studio_is_refused_however_it_is_written(scheme: str, host: str) -> None:
    with pytest.raises(ValidationError, match="clouds hand out credentials"):
        LabelStudioOptions(url=f"{scheme}://{host}/latest", token=TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "10.0.0.7", "[::1]:8080", "[fd00::7]", "169.example.com", "7up"])
def test_any_other_address_is_taken(host: str) -> None:
    assert LabelStudioOptions(url=f"http://{host}", token=TOKEN).url == f"http://{host}"
