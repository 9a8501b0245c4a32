"""Rows 1 to 7: all of JSONTestSuite to a running daemon; and the same rule wherever else JSON comes from outside."""

import time
from functools import cache

import aiohttp

from tests.bad_inputs.json_suite import texts
from tests.bad_inputs.raw import QUICK_S
from tests.bad_inputs.running import SECRETS, Running

suite = cache(texts)
DEEP = {"n_structure_100000_opening_arrays", "n_structure_open_array_object", "i_structure_500_nested_arrays"}
OURS = {  # what the rule of `syncd.domain.decoding` says to what parsers may think of as they like
    "i_number_huge_exp": 400,
    "i_number_too_big_pos_int": 204,  # a float, which no reader takes for an integer
    "i_object_key_lone_2nd_surrogate": 400,
    "i_string_invalid_lonely_surrogate": 400,
    "i_string_iso_latin_1": 400,
    "i_string_UTF-16LE_with_BOM": 400,
    "i_structure_500_nested_arrays": 400,
    "i_structure_UTF-8_BOM_empty_object": 400,
}


async def answers(daemon: Running, bodies: dict[str, bytes]) -> dict[str, tuple[int, float]]:
    """Status and seconds of each, one after the other."""
    headers = {"Authorization": f"Bearer {SECRETS['APP_TOKEN']}", "Content-Type": "application/json"}
    found: dict[str, tuple[int, float]] = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for name, body in bodies.items():
            started = time.perf_counter()
            async with session.post(f"http://127.0.0.1:{daemon.port}/events/app", data=body) as answer:
                assert len(await answer.read()) < 200
                found[name] = (answer.status, time.perf_counter() - started)
    return found


def named(start: str) -> dict[str, bytes]:
    return {name: body for name, body in suite().items() if name.startswith(start)}


def as_a_member(texts: dict[str, bytes]) -> dict[str, bytes]:
    """Each as a member, which nobody looks at, of a body that is fine."""
    return {name: b'{"bucket": "scans", "events": [], "more": ' + text + b"}" for name, text in texts.items()}


async def test_all_that_is_no_json_is_400_at_once_and_nothing_is_stored(daemon_process: Running) -> None:
    before, memory = daemon_process.waiting(), daemon_process.memory()
    bodies = named("n_")
    assert len(bodies) > 180
    assert set(DEEP) <= set(suite())
    found = await answers(daemon_process, bodies)
    assert {name: status for name, (status, _) in found.items() if status != 400} == {}
    late = {name: bodies[name] for name, (_, took) in found.items() if took >= QUICK_S}
    for _ in range(5):  # what else runs on the machine only ever adds to it
        again = await answers(daemon_process, late)
        late = {name: late[name] for name, (_, took) in again.items() if took >= QUICK_S}
    assert late == {}
    assert daemon_process.waiting() == before
    assert memory.grown() < 64 * 2**20


async def test_all_that_is_json_is_taken_wherever_it_stands(daemon_process: Running) -> None:
    bodies = named("y_")
    assert len(bodies) > 90
    found = await answers(daemon_process, as_a_member(bodies))
    assert {name: status for name, (status, _) in found.items() if status != 204} == {}


async def test_what_parsers_may_think_of_as_they_like_is_refused_or_taken_and_breaks_nothing(
    daemon_process: Running,
) -> None:
    found = await answers(daemon_process, as_a_member(named("i_")))
    assert {status for status, _ in found.values()} <= {204, 400}
    assert {name: found[name][0] for name in OURS} == OURS
    assert "Traceback" not in daemon_process.log()
