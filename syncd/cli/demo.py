"""`syncd demo`: the main job from end to end on this machine, with a real Label Studio and the real daemon.

It tells what it does, step by step with times. A scripted annotator stands in for a person and says so.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from syncd.cli.common import out, progress, table
from syncd.domain.errors import ConfigError, Problem

if TYPE_CHECKING:
    from syncd.cli.demo_site import DemoSite


class Queue(StrEnum):
    """How the demo's bucket tells of its objects, where it is no folder."""

    WEBHOOK = "webhook"
    SQS = "sqs"


KeepOption = Annotated[bool, typer.Option("--keep", help="Leave it running, to label in the browser; Ctrl-C ends it.")]
QueueOption = Annotated[
    Queue | None,
    typer.Option(help="A bucket on a local S3 server instead of a folder; its events come so (extra `servers`)."),
]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Where it lives; else $SYNCD_DATA_DIR, else your data folder.")
]


def demo(queue: QueueOption = None, keep: KeepOption = False, data_dir: DataDirOption = None) -> None:
    """Bucket → Label Studio → versioned snapshot → training, for real, in a minute or two."""
    story = Story()
    with _site(data_dir, queue) as site:
        _bring_up(site, story)
        _photographs_become_tasks(site, story)
        _annotations_become_a_version(site, story)
        _a_correction_becomes_the_next(site, story)
        _training_reads_it(site, story)
        out.print(table(story.rows, "What happened"))
        if keep:
            _wait_for_people(site)


@contextmanager
def _site(data_dir: Path | None, queue: Queue | None) -> "Iterator[DemoSite]":
    try:  # here, because the rest of the command line does without these extras
        from syncd.cli.demo_site import DemoSite
    except ModuleNotFoundError as error:
        extra = "the extra: pip install 'syncd[demo]'"
        raise ConfigError([Problem("demo", f"no module {error.name}", extra)]) from None
    with DemoSite(data_dir, queue) as site:
        yield site


class Step:
    """One step of the story: what it is doing now, and its result."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.result = ""


class Story:
    """Tells each step while it happens, and keeps the times for the table at the end."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """One step, shown while it runs and then with its result and time."""
        started = time.monotonic()
        with progress(what) as say:
            yield (step := Step(say))
        seconds = f"{time.monotonic() - started:.1f} s"
        out.print(f"[green]✓[/] {what}: {step.result} [dim]({seconds})[/]", highlight=False, soft_wrap=True)
        self.rows.append({"step": what, "result": step.result, "time": seconds})


def _bring_up(site: "DemoSite", story: Story) -> None:
    with story.step("Label Studio") as step:
        running = site.bring_up_label_studio(step.say)
        step.result = f"{running.url}, installed and started by syncd"
    with story.step("syncd") as step:
        site.start_daemon(step.say)
        step.result = site.bucket.tells


def _photographs_become_tasks(site: "DemoSite", story: Story) -> None:
    with story.step("photographs arrive") as step:
        count = site.drop_photographs()
        step.result = f"{count} real photographs put into the bucket"
    with story.step("tasks appear") as step:
        step.result = f"{site.wait_for_tasks(count)} tasks in Label Studio, each once, pictures visible"


def _annotations_become_a_version(site: "DemoSite", story: Story) -> None:
    out.print("  A script now stands in for a person: it draws boxes and submits them through Label Studio's own API.")
    with story.step("annotations") as step:
        step.result = f"{site.annotate()} submitted, one of them with a slip: the rocket is called a cup"
    with story.step("version v1") as step:
        step.result = f"{site.wait_for_version(1).rows} rows"


def _a_correction_becomes_the_next(site: "DemoSite", story: Story) -> None:
    with story.step("a correction") as step:
        step.result = site.correct()
    with story.step("version v2") as step:
        found = site.wait_for_version(2)
        step.result = f"{found.rows} rows, {found.updated} corrected, {found.inserted} new; v1 stays as it was"


def _training_reads_it(site: "DemoSite", story: Story) -> None:
    out.print(Panel.fit(Text(f"$ syncd snapshot diff photos v1 v2\n\n{site.diff_text()}"), title="what changed"))
    with story.step("training opens it") as step:
        line, frame = site.read()
        step.result = f"{len(frame)} rows with one line"
    out.print(Panel.fit(Text(f">>> {line}\n{frame}", overflow="fold"), title="in a training job"))


def _wait_for_people(site: "DemoSite") -> None:
    running = site.running
    text = (
        f"[bold]{site.dataset_url()}[/]\nlog in as  {running.username}\npassword   {running.password}\n\n"
        f"Label a picture and submit it: a new version comes some seconds later.\n"
        f"{site.bucket.invites}\nCtrl-C ends the demo."
    )
    out.print(Panel.fit(text, title="your turn"), highlight=False)
    try:
        for found in site.versions():
            out.print(f"[green]✓[/] {found.name}: {found.rows} rows", highlight=False)
    except KeyboardInterrupt:
        out.print("Stopping.")
