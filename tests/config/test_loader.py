"""Loading: what a good configuration becomes, and how a bad one is explained."""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config import find_config, load_config
from syncd.domain.errors import ConfigError
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.planning import OnChange, OnDelete
from tests.config.conftest import BASE, Load

Problems = Callable[..., dict[str, str]]
OWN_LABELS = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="good"/></Choices></View>'


def test_an_empty_file_is_a_configuration_of_defaults(load: Load, tmp_path: Path) -> None:
    config = load("")
    assert config.data_dir == tmp_path / ".local/share/syncd"
    assert config.state.url == f"sqlite:///{config.data_dir}/state.db"
    assert config.receiver.public_url == "http://127.0.0.1:8400"
    assert (config.retry.first, config.retry.longest, config.retry.give_up_after) == (1.0, 60.0, 3 * 86400.0)


def test_a_dataset_is_filled_in_from_its_name_and_defaults(load: Load) -> None:
    config = load(BASE)
    dataset = config.datasets["fruits"]
    assert (dataset.title, dataset.on_change, dataset.on_delete) == ("fruits", OnChange.NEW_TASK, OnDelete.KEEP)
    assert dataset.snapshots.url == f"file://{config.data_dir}/snapshots"
    assert parse_label_config(dataset.label_config_xml).labels == ("apple",)


def test_plug_in_options_are_made_by_the_class_behind_the_type(load: Load) -> None:
    photos = load(BASE).sources["photos"]
    assert (photos.type, photos.factory.__name__) == ("stranger", "Plugin")
    assert photos.options.model_dump()["path"] == Path("/srv/photos")


def test_storage_options_are_text_or_where_a_secret_is(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    text = f'{BASE}snapshots.storage_options = {{ aws_region = "x", aws_key = {{ file = "{tmp_path}/key" }} }}'
    snapshots = load(text).datasets["fruits"].snapshots
    assert "hunter2" not in repr(snapshots)
    assert snapshots.resolved_options("f") == {"aws_region": "x", "aws_key": "hunter2"}
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigError, match=r"f\.storage_options\.aws_key"):
        snapshots.resolved_options("f")


def test_a_label_config_file_is_found_beside_the_configuration_and_read_once(load: Load, tmp_path: Path) -> None:
    (tmp_path / "own.xml").write_text(OWN_LABELS)
    text = BASE.replace('task = "image-classification"', 'label_config = "own.xml"').replace('labels = ["apple"]', "")
    dataset = load(text).datasets["fruits"]
    (tmp_path / "own.xml").unlink()
    assert dataset.label_config_xml == OWN_LABELS


def test_the_data_directory_follows_the_environment(load: Load) -> None:
    assert load("", XDG_DATA_HOME="/xdg").data_dir == Path("/xdg/syncd")
    assert load('data_dir = "/file"', XDG_DATA_HOME="/xdg").data_dir == Path("/file")
    config = load('data_dir = "/file"', SYNCD_DATA_DIR="/env")
    assert (config.data_dir, config.state.url) == (Path("/env"), "sqlite:////env/state.db")


def test_a_relative_data_directory_starts_at_the_file(load: Load, tmp_path: Path) -> None:
    assert load('data_dir = "data"').data_dir == tmp_path / "data"


def test_urls_under_a_data_directory_with_a_space_are_what_their_readers_take(load: Load) -> None:
    config = load(BASE, SYNCD_DATA_DIR="/a b%")
    assert config.state.url == "sqlite:////a%20b%25/state.db"
    assert config.datasets["fruits"].snapshots.url == "file:///a%20b%25/snapshots"


def test_the_public_url_brackets_an_ipv6_address(load: Load) -> None:
    assert load('[receiver]\nhost = "::1"\nport = 1').receiver.public_url == "http://[::1]:1"


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("[receiver]\nprot = 1", "receiver.prot", "did you mean port?"),
        ("[recever]\nport = 1", "recever", "did you mean receiver?"),
        ("[receiver]\nport = 70000", "receiver.port", "less than or equal to 65535 (found 70000)"),
        ("[receiver]\nport = 0", "receiver.port", "greater than or equal to 1 (found 0)"),
        ("receiver = 1", "receiver", "must be a table (found 1)"),
        ("sources = 1", "sources", "must be a table"),
        ("[sources]\nphotos = 1", "sources.photos", "must be a table"),
        ("[datasets]\nfruits = 1", "datasets.fruits", "must be a table"),
        ("data_dir = 1", "data_dir", "path"),
        ('[log]\nlevel = "loud"', "log.level", "'debug', 'info', 'warning' or 'error' (found 'loud')"),
        ("[worker]\nlinger = inf", "worker.linger", "must be a finite number (found inf)"),
        ("[retry]\nfirst = 400", "retry.longest", "must not be shorter than retry.first (found 60.0)"),
        ("[reconcile]\nretire_limit = 1.5", "reconcile.retire_limit", "less than or equal to 1 (found 1.5)"),
        ("[receiver]\npublic_url = 'ftp://x'", "receiver.public_url", "must be an http:// or https:// URL"),
        ("[state]\nurl = 'postgresql://anna:hunter2@db/x?a=hunter2'", "state.url", "(found 'postgresql://db/x')"),
        ("[state]\nurl = 'postgresql://anna@db/x?password=hunter2'", "state.url", "state.password, or set $PGPASSWORD"),
        ("[state]\nurl = 'mysql://db/x'", "state.url", "must be sqlite:///PATH, or postgresql://USER@HOST/DATABASE"),
        ("[state]\nurl = 'sqlite:///'", "state.url", "an absolute path makes four slashes"),
        ("[state]\nurl = 'sqlite://x.db'", "state.url", "with three slashes"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(problems: Problems, text: str, field: str, said: str) -> None:
    found = problems(text)
    assert list(found) == [field]
    assert said in found[field]


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ('"image-classification"', '"guess"', "task", "must be one of image-classification"),
        ('labels = ["apple"]', "", "labels", "give at least one label"),
        ('["apple"]', '["apple", "apple"]', "labels", "each label once"),
        ('task = "image-classification"', "", "label_config", "exactly one of them"),
        ('task = "image-classification"', 'label_config = "own.xml"', "label_config", "exactly one of them"),
        ('task = "image-classification"\nlabels = ["apple"]', "", "label_config", "exactly one of them"),
        ('labels = ["apple"]', 'labels = ["apple"]\nlabel_config = "own.xml"', "label_config", "exactly one of them"),
        (
            'task = "image-classification"\nlabels = ["apple"]',
            'label_config = "no.xml"',
            "label_config",
            "No such file",
        ),
        ('task = "image-classification"\nlabels = ["apple"]', 'label_config = "bad.xml"', "label_config", "line 1"),
        ('task = "image-classification"\nlabels = ["apple"]', "label_config = 3", "label_config", "path of an XML"),
        ('"studio"\ns', '"studo"\ns', "annotator", "did you mean studio? (found 'studo')"),
        ('["photos"]', '["fotos"]', "sources", "did you mean photos? (found 'fotos')"),
        ('["photos"]', "[]", "sources", "at least 1 item"),
        ('["photos"]', '["photos"]\ninclude = ["/a"]', "include", "without / at its start"),
        ('["photos"]', '["photos"]\non_change = "x"', "on_change", "'new-task', 'replace' or 'ignore' (found 'x')"),
        ('["photos"]', '["photos"]\non_delete = "x"', "on_delete", "'keep' or 'retire' (found 'x')"),
        ('["photos"]', '["photos"]\non_drift = "x"', "on_drift", "'refuse', 'warn' or 'update' (found 'x')"),
        ('["photos"]', '["photos"]\ntitle = ""', "title", "at least 1 character"),
        ('["photos"]', f'["photos"]\ntitle = "{"x" * 51}"', "title", "at most 50 characters"),
        ('["photos"]', '["photos"]\nsnapshots.afterquiet = 1', "snapshots.afterquiet", "did you mean after_quiet?"),
        ('["photos"]', '["photos"]\nsnapshots.url = "/x"', "snapshots.url", "file:///folder, s3://"),
        ('["photos"]', '["photos"]\nsnapshots.storage_options.a = 1', "snapshots.storage_options.a", "must be text"),
    ],
)
def test_a_wrong_dataset_field_is_named_with_what_is_allowed(  # noqa: PLR0917 - the table's columns
    problems: Problems, tmp_path: Path, old: str, new: str, field: str, said: str
) -> None:
    assert old in BASE
    (tmp_path / "own.xml").write_text(OWN_LABELS)
    (tmp_path / "bad.xml").write_text("<View><Text></View>")
    found = problems(BASE.replace(old, new))
    assert list(found) == [f"datasets.fruits.{field}"]
    assert said in found[f"datasets.fruits.{field}"]


def test_all_problems_are_told_at_once(problems: Problems) -> None:
    text = BASE.replace('"/srv/photos"', '"/srv/photos"\npoll_every = 0').replace('["photos"]', '["nobody"]')
    found = problems("[receiver]\nport = 0\n" + text.replace('["apple"]', "[]"), SYNCD_WORKER__COUNT="many")
    assert set(found) == {
        "receiver.port",
        "worker.count",
        "sources.photos.poll_every",
        "datasets.fruits.sources",
        "datasets.fruits.labels",
    }


def test_two_datasets_may_not_fill_one(problems: Problems) -> None:
    second = BASE[BASE.index("[datasets") :].replace("fruits", "more") + 'title = "fruits"\n'
    assert "datasets.fruits" in problems(BASE + second)["datasets.more.title"]


@pytest.mark.parametrize("parent", ["{data_dir}", "/data"])
def test_a_snapshot_table_may_not_lie_in_another(problems: Problems, parent: str) -> None:
    second = BASE[BASE.index("[datasets") :].replace("fruits", "more")
    found = problems(f'{BASE}{second}snapshots.url = "file://{parent}/snapshots/fruits/"\n', SYNCD_DATA_DIR="/data")
    assert list(found) == ["datasets.more.snapshots.url"]


@pytest.mark.parametrize("name", ["Fruits", "-fruits", "fru its", "x" * 51, ""])
def test_names_are_plain(problems: Problems, name: str) -> None:
    assert "1 to 50 of a-z" in problems(BASE.replace("[datasets.fruits]", f'[datasets."{name}"]'))[f"datasets.{name}"]


class TestPlugIns:
    def test_an_unknown_type_lists_the_installed_ones(self, problems: Problems) -> None:
        said = problems(BASE.replace('type = "stranger"', 'type = "s4"', 1))["sources.photos.type"]
        assert "folder" in said
        assert "stranger" in said
        assert "(found 's4')" in said

    def test_a_missing_type_is_asked_for(self, problems: Problems) -> None:
        assert "must be one of" in problems(BASE.replace('type = "stranger"', "", 1))["sources.photos.type"]

    def test_a_type_whose_packages_are_missing_says_what_to_install(self, problems: Problems) -> None:
        said = problems(BASE.replace('type = "stranger"', 'type = "absent"', 1))["sources.photos.type"]
        assert "pip install 'stranger[absent]'" in said

    def test_a_type_whose_class_is_not_there_is_told(self, problems: Problems) -> None:
        said = problems(BASE.replace('type = "stranger"', 'type = "broken"', 1))["sources.photos.type"]
        assert "cannot be imported" in said

    def test_a_type_nobody_names_is_not_imported(self, load: Load) -> None:
        load(BASE)
        with pytest.raises(RuntimeError, match="nobody asked"):
            load(BASE.replace('type = "stranger"', 'type = "never"', 1))

    def test_option_problems_carry_the_full_name(self, problems: Problems) -> None:
        found = problems(BASE.replace('path = "/srv/photos"', 'pth = "/srv"\nlinks = [{ bucket = "a", bukcet = "b" }]'))
        assert "is required" in found["sources.photos.path"]
        assert "did you mean path?" in found["sources.photos.pth"]
        assert "did you mean bucket?" in found["sources.photos.links.0.bukcet"]

    def test_a_secret_written_out_is_refused_and_not_repeated(self, problems: Problems) -> None:
        found = problems(BASE.replace('path = "/x"', 'path = "/x"\ntoken = "hunter2"\nunknown = "hunter2"'))
        assert '{ env = "NAME" }' in found["annotators.studio.token"]
        assert "hunter2" not in "".join(found.values())


class TestFile:
    def test_a_missing_file_says_where_it_looked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError) as caught:
            load_config(None, {"HOME": "/home/nobody"})
        for place in ("--config", "$SYNCD_CONFIG", "syncd.toml", "/home/nobody/.config/syncd/syncd.toml", "/etc/syncd"):
            assert place in str(caught.value)

    def test_the_first_place_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        usual = tmp_path / ".config/syncd/syncd.toml"
        usual.parent.mkdir(parents=True)
        usual.touch()
        assert find_config(None, {"HOME": str(tmp_path)}) == usual
        (tmp_path / "syncd.toml").touch()
        assert find_config(None, {"HOME": str(tmp_path)}) == Path("syncd.toml")
        assert find_config(None, {"SYNCD_CONFIG": str(usual)}) == usual
        assert find_config(usual, {"SYNCD_CONFIG": "/nowhere"}) == usual

    @pytest.mark.parametrize("environ", [{"SYNCD_CONFIG": "/nowhere.toml"}, {}])
    def test_a_file_asked_for_is_not_replaced_by_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "syncd.toml").touch()
        with pytest.raises(ConfigError, match=r"/nowhere\.toml"):
            find_config(None if environ else Path("/nowhere.toml"), environ)

    def test_a_syntax_error_names_the_line(self, problems: Problems, tmp_path: Path) -> None:
        assert "line 2" in problems("[receiver]\nport = = 1\n")[str(tmp_path / "syncd.toml")]

    def test_what_is_no_text_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "syncd.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigError, match="UTF-8"):
            load_config(tmp_path / "syncd.toml", {})
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            load_config(tmp_path, {})


WEBHOOK = """[datasets.fruits.triggers.notify]
type = "webhook"
url = "https://example.com/"
secrets = [{ env = "HOOK" }]
"""


def test_triggers_are_made_by_the_class_behind_the_type(load: Load) -> None:
    text = f'{BASE}{WEBHOOK}[datasets.fruits.triggers.train]\ntype = "command"\ncommand = ["true"]\nfolder = "jobs"'
    triggers = load(text, SYNCD_DATASETS__FRUITS__TRIGGERS__NOTIFY__TIMEOUT="7").datasets["fruits"].triggers
    assert {name: plugin.type for name, plugin in triggers.items()} == {"notify": "webhook", "train": "command"}
    assert triggers["notify"].options.model_dump()["timeout"] == 7
    assert triggers["train"].options.model_dump()["folder"].is_absolute()


def test_every_problem_of_a_trigger_is_named_by_its_place(problems: Problems) -> None:
    text = BASE + WEBHOOK.replace('"https://example.com/"', '"ftp://x/?token=abc"') + "tmeout = 5\n"
    text += '[datasets.fruits.triggers."No Name"]\ntype = "mail"\n'
    found = problems(text)
    place = "datasets.fruits.triggers"
    assert found.keys() == {
        f"{place}.notify.url",
        f"{place}.notify.tmeout",
        f"{place}.No Name",
        f"{place}.No Name.type",
    }
    assert "did you mean timeout?" in found[f"{place}.notify.tmeout"]
    assert "command, export, webhook" in found[f"{place}.No Name.type"]
    assert "abc" not in str(found)


def test_triggers_that_are_no_tables_are_named(problems: Problems) -> None:
    assert "must be a table" in problems(f"{BASE}triggers = {{ notify = 5 }}")["datasets.fruits.triggers.notify"]
    assert "datasets.fruits.triggers" in problems(f"{BASE}triggers = 5")
