"""What the benches against Label Studio stand on, in small."""

import argparse
import urllib.request

from tests.bench import reconcile
from tests.bench.counting_proxy import CountingProxy


def test_a_proxy_passes_on_and_counts_until_it_is_to_lose_all() -> None:
    with CountingProxy().running() as behind, CountingProxy(behind.url).running() as proxy:
        behind.loses = True  # it answers 200 by itself
        for loses in (False, True):
            proxy.loses = loses
            with urllib.request.urlopen(f"{proxy.url}/api/tasks/?page=1", data=b"{}") as answer:
                assert answer.status == 200
    assert [(one.method, one.path) for one in proxy.passed] == [("POST", "/api/tasks/")] * 2
    assert len(behind.passed) == 1


def test_a_small_bucket_is_reconciled_without_a_call_to_the_annotator() -> None:
    parser = argparse.ArgumentParser()
    reconcile.arguments(parser)
    options = parser.parse_args(["--objects", "12000", "--times", "0", "--listings", "1"])
    goals = {goal.name: goal for goal in reconcile.run(options)}
    assert goals["reconcile: connections to the annotator"].ok
    assert goals["reconcile: memory"].figure > 50
    assert goals["reconcile once more: CPU"].figure > 0
