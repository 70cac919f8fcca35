"""Opening, refusing, migrating, and what many writers at once leave behind."""

from __future__ import annotations

import importlib.util
import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.ingest import ingest
from db.manage import back_up, database_facts
from db.migrate import difference, migrate
from db.models import RUNS_REVISION, RevisionRow
from db.session import describe, file_identity, open_database, reading, sqlite_url, writing
from steper_core.errors import UserError

from .samples import RunMaker, contents, make_chain, make_question

HEAD = "0005"
NUMBER = sa.select(RevisionRow.number).where(RevisionRow.id == RUNS_REVISION)
SET_NUMBER = sa.update(RevisionRow).where(RevisionRow.id == RUNS_REVISION)


def test_opening_creates_the_folder_and_uses_wal(tmp_path: Path) -> None:
    file = tmp_path / "new" / "deep" / "steper.db"
    engine = open_database(f"sqlite:///{file}")
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
    assert file.exists()


def test_the_default_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_database()
    assert (tmp_path / "runs" / "steper.db").exists()


def test_migrated_tables_are_those_of_the_models(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        assert difference(connection) == []


def test_small_tables_lie_in_their_key_in_the_migration_too(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("of SQLite alone")
    from db.models import Base

    with reading(engine) as connection:
        made = dict(
            tuple(row) for row in connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        )
    for table in Base.metadata.sorted_tables:
        wanted = not table.dialect_options["sqlite"]["with_rowid"]
        assert ("WITHOUT ROWID" in made[table.name]) is wanted, table.name


def test_opening_again_keeps_every_row(url: str, engine: sa.Engine, make_run: RunMaker) -> None:
    ingest(engine, make_run(questions=[make_question("a")], chains=[make_chain("a")]).path)
    before = contents(engine)
    again = open_database(url)
    assert contents(again) == before
    again.dispose()


def test_a_later_batch_migration_keeps_the_rows_of_a_filled_database(
    engine: sa.Engine, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It rebuilds tables that others refer to with CASCADE: with foreign keys on, those would be emptied."""
    import shutil

    import db.migrate as module

    ingest(engine, make_run(questions=[make_question("a")], chains=[make_chain("a")]).path)
    before = contents(engine)
    folder = tmp_path / "migrations"
    shutil.copytree(module._FOLDER, folder)
    (folder / "versions" / "0099_later.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '0099', '{HEAD}', None, None\n"
        "def upgrade():\n"
        "    recreate = 'always' if op.get_bind().dialect.name == 'sqlite' else 'never'\n"
        "    for table in ('runs', 'chains', 'steps'):\n"
        "        with op.batch_alter_table(table, recreate=recreate) as batch:\n"
        "            batch.add_column(sa.Column('extra', sa.Text(), nullable=False, server_default='x'))\n"
    )
    monkeypatch.setattr(module, "_FOLDER", folder)
    engine.dispose()
    upgraded = open_database(engine.url.render_as_string(hide_password=False))
    assert contents(upgraded) == before
    with reading(upgraded) as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT extra FROM steps").scalars().all() == ["x"]
        if upgraded.dialect.name == "sqlite":
            made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'chains'").scalar_one()
            assert "WITHOUT ROWID" in made
    upgraded.dispose()


def test_a_failing_migration_changes_nothing(
    url: str, engine: sa.Engine, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    import db.migrate as module

    ingest(engine, make_run(questions=[make_question("a")], chains=[make_chain("a")]).path)
    before = contents(engine)
    folder = tmp_path / "migrations"
    shutil.copytree(module._FOLDER, folder)
    (folder / "versions" / "0099_broken.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '0099', '{HEAD}', None, None\n"
        "def upgrade():\n"
        "    op.drop_table('chain_scores')\n"
        "    raise RuntimeError('broken')\n"
    )
    monkeypatch.setattr(module, "_FOLDER", folder)
    with pytest.raises(RuntimeError, match="broken"):
        open_database(url)
    assert contents(engine) == before
    assert database_facts(engine).schema == HEAD


def test_a_newer_database_is_refused_with_the_way_out(url: str, engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match=r"newer version of StepER.*9999.*upgrade StepER") as refusal:
        open_database(url)
    assert describe(engine.url) in str(refusal.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes, not tables\n" * 100)
    with pytest.raises(UserError, match=r"notes\.db: is no SQLite database"):
        open_database(f"sqlite:///{file}")
    assert file.read_text().startswith("these are notes")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (id)")
    with pytest.raises(UserError, match="another program"):
        open_database(f"sqlite:///{file}")


@pytest.mark.parametrize("place", ["file/steper.db", "folder"])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"cannot be used"):
        open_database(f"sqlite:///{tmp_path / place}")


@pytest.mark.parametrize(
    "url",
    [
        "runs/secret.db",
        "mysql://user:secret@host/name",
        "postgresql://user:secret@127.0.0.1:1/name?connect_timeout=1",
        "postgresql://user:secret@host:not-a-port/name",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    if url.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
        pytest.skip("the driver is not installed")
    with pytest.raises(UserError) as refusal:
        open_database(url)
    assert "secret" not in str(refusal.value)


def test_described_urls_hide_every_password() -> None:
    url = sa.make_url("postgresql+psycopg://user:one@host/name?password=two&sslpassword=three&sslmode=require")
    assert describe(url) == (
        "postgresql+psycopg://user:***@host/name?password=%2A%2A%2A&sslmode=require&sslpassword=%2A%2A%2A"
    )


def test_what_becomes_of_a_database_while_it_is_open_is_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'steper.db'}")
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TABLE steps")
    for opened in (reading, writing):
        with (
            pytest.raises(UserError, match=r"steper\.db: cannot be used \(no such table: steps\)"),
            opened(engine) as used,
        ):
            used.exec_driver_sql("SELECT * FROM steps")


def test_a_setting_that_the_driver_cannot_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path / 'steper.db'}?timeout=abc")


def test_another_file_under_the_same_name_is_another_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'steper.db'}"
    assert file_identity(url) is None
    open_database(url).dispose()
    first = file_identity(url)
    (tmp_path / "steper.db").rename(tmp_path / "away.db")
    open_database(url).dispose()
    assert first is not None and file_identity(url) not in (None, first)
    assert file_identity("postgresql://host/name") is None


def test_concurrent_read_then_write_loses_nothing(engine: sa.Engine) -> None:
    def count_up() -> None:
        for _ in range(25):
            with writing(engine) as connection:
                number = connection.execute(NUMBER.with_for_update()).scalar_one()
                connection.execute(SET_NUMBER.values(number=number + 1))

    threads = [threading.Thread(target=count_up) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert connection.execute(NUMBER).scalar_one() == 300


def test_a_reader_does_not_wait_for_a_writer(engine: sa.Engine) -> None:
    with writing(engine) as writer:
        writer.execute(SET_NUMBER.values(number=7))
        with reading(engine) as reader:
            assert reader.execute(NUMBER).scalar_one() == 0


def test_a_reader_sees_one_state(engine: sa.Engine) -> None:
    with reading(engine) as reader:
        assert reader.execute(NUMBER).scalar_one() == 0
        with writing(engine) as writer:
            writer.execute(SET_NUMBER.values(number=7))
        assert reader.execute(NUMBER).scalar_one() == 0
    with reading(engine) as reader:
        assert reader.execute(NUMBER).scalar_one() == 7


def test_a_copy_holds_what_stands_in_the_log_alone(url: str, engine: sa.Engine, tmp_path: Path) -> None:
    copy = tmp_path / "it's a copy?.db"
    if not url.startswith("sqlite"):
        with pytest.raises(UserError, match="with its own tools"):
            back_up(url, copy)
        return
    with writing(engine) as connection:
        connection.execute(SET_NUMBER.values(number=7))
    with writing(engine) as unfinished:
        unfinished.execute(SET_NUMBER.values(number=8))
        back_up(url, copy)
    again = open_database(sqlite_url(copy))
    with reading(again) as connection:
        assert connection.execute(NUMBER).scalar_one() == 7
    again.dispose()
    with pytest.raises(UserError, match="is there already"):
        back_up(url, copy)
    with pytest.raises(UserError, match="could not be written"):
        back_up(url, tmp_path / "nowhere" / "copy.db")


def test_a_copy_is_of_the_version_that_is_there(tmp_path: Path) -> None:
    """For the version before to open it again."""
    old = sqlite_url(tmp_path / "old.db")
    open_database(old).dispose()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    back_up(old, tmp_path / "copy.db")
    for name in ("old.db", "copy.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    with pytest.raises(UserError, match="there is no database yet"):
        back_up(sqlite_url(tmp_path / "none.db"), tmp_path / "more.db")
    assert not (tmp_path / "none.db").exists()


def test_opening_does_not_wait_for_a_writer(url: str, engine: sa.Engine) -> None:
    with writing(engine) as writer:
        writer.execute(SET_NUMBER.values(number=7))
        open_database(url).dispose()


def test_an_exception_undoes_what_was_written(engine: sa.Engine) -> None:
    with pytest.raises(RuntimeError), writing(engine) as connection:
        connection.execute(SET_NUMBER.values(number=7))
        raise RuntimeError
    with reading(engine) as connection:
        assert connection.execute(NUMBER).scalar_one() == 0


def _open(url: str, results: multiprocessing.Queue[str]) -> None:
    try:
        engine = open_database(url)
        results.put(str(database_facts(engine).schema))
    except Exception as error:
        results.put(repr(error))


def test_processes_that_open_a_new_database_at_once_all_succeed(url: str) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_open, args=(url, results)) for _ in range(6)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert answers == [HEAD] * 6


def test_migrating_what_is_up_to_date_does_nothing(engine: sa.Engine) -> None:
    before = contents(engine)
    migrate(engine, "the database")
    assert contents(engine) == before
