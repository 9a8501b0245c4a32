"""What `[datasets.NAME]` says of objects, from the configuration file to the tasks, on the real assembly and daemon."""

import json

from tests.service.memory_site import Site

CHOICES = '<Choices name="c" toName="{shown}"><Choice value="a"/><Choice value="b"/></Choices>'
COMMON = """
annotator = "studio"
sources = ["files"]
on_change = "replace"
on_delete = "retire"
"""
PLAIN = 'task = "image-classification"\nlabels = ["cat", "dog"]\n'


async def test_one_bucket_feeds_datasets_of_every_kind(site: Site) -> None:
    pair = (
        '<View><Image name="l" value="$left"/><Image name="r" value="$right"/>' + CHOICES.format(shown="l") + "</View>"
    )
    text = '<View><Text name="t" value="$text"/>' + CHOICES.format(shown="t") + "</View>"
    (site.home / "pairs.xml").write_text(pair)
    (site.home / "text.xml").write_text(text)
    site.configure(f"""
[datasets.photos]
{COMMON}{PLAIN}
include = ["photos/**", "more/**"]
suffixes = [".jpg"]
sidecar = "{{stem}}.json"
[datasets.small]
{COMMON}{PLAIN}
include = ["photos/**"]
suffixes = [".jpg"]
max_size = 5
[datasets.pairs]
{COMMON}
label_config = "pairs.xml"
members = {{ left = "pairs/{{group}}_l.jpg", right = "pairs/{{group}}_r.jpg" }}
[datasets.questions]
{COMMON}
label_config = "text.xml"
manifest = "*.tasks.csv"
manifest_id = "id"
""")
    site.put("photos/before.jpg", b"there before the daemon")
    site.put("photos/before.json", json.dumps({"by": "Ann"}))
    async with site.running():
        site.put("photos/1.JPG", b"tiny")
        site.put("photos/1.json", json.dumps({"by": "Bob"}))
        site.put("photos/empty.jpg", b"")
        site.put("photos/notes.txt", b"no picture")
        site.put("pairs/x_l.jpg", b"l")
        site.put("pairs/x_r.jpg", b"r")
        site.put("week.tasks.csv", 'id,text\n1,"one, or two"\n2,three\n')
        await site.until(lambda: len(site.tasks("photos")) == 2 and len(site.tasks("questions")) == 2)
        await site.until(lambda: len(site.tasks("small")) == 1 and len(site.tasks("pairs")) == 1)
        assert sorted(task["by"] for task in site.tasks("photos")) == ["Ann", "Bob"]
        assert site.tasks("small") == [{"image": f"{site.bucket}/photos/1.JPG"}]
        assert site.tasks("pairs") == [
            {"left": f"{site.bucket}/pairs/x_l.jpg", "right": f"{site.bucket}/pairs/x_r.jpg"}
        ]
        site.put("week.tasks.csv", "id,text\n2,another three\n")
        site.remove("pairs/x_r.jpg")
        await site.until(lambda: site.tasks("questions") == [{"id": "2", "text": "another three"}])
        await site.until(lambda: site.tasks("pairs") == [])


async def test_what_happened_while_the_daemon_was_away_is_made_good(site: Site) -> None:
    text = '<View><Text name="t" value="$text"/>' + CHOICES.format(shown="t") + "</View>"
    (site.home / "text.xml").write_text(text)
    site.configure(
        f'[datasets.questions]\n{COMMON}label_config = "text.xml"\nmanifest = "*.jsonl"\nmanifest_id = "id"\n'
    )
    rows = [{"id": n, "text": f"text {n}"} for n in range(10)]
    site.put("1.jsonl", "\n".join(map(json.dumps, rows)))
    async with site.running():
        await site.until(lambda: len(site.tasks("questions")) == 10)
    site.put("1.jsonl", "\n".join(map(json.dumps, [*rows[3:], {"id": "new", "text": "new"}])))
    async with site.running():
        await site.until(lambda: {task["id"] for task in site.tasks("questions")} == {*range(3, 10), "new"})
