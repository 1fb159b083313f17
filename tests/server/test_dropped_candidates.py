"""A candidate that was loaded well and is dropped after all, for instance because another worker came late."""

from pathlib import Path

from conveyor_server.repository import Repository
from tests.server.scripted import in_loop
from tests.server.test_repository import OPTIONS, write

REASON = "the workers could load different versions"


def test_a_version_that_has_no_fault_is_tried_again(tmp_path: Path) -> None:
    write(tmp_path)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, OPTIONS)
        await repository.load_all()
        write(tmp_path, version=2, seed=1)
        repository.abort(await repository.prepare("tiny", OPTIONS), REASON)
        assert repository.served_versions() == {"tiny": [1]}
        assert repository.entry("tiny", "2").reason == REASON
        repository.commit(await repository.prepare("tiny", OPTIONS))
        assert repository.served_versions() == {"tiny": [2]}
        repository.close()

    test()


def test_a_version_that_another_worker_cannot_serve_is_not_tried_again(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, version=2, seed=1)

    @in_loop
    async def test() -> None:
        repository = Repository(tmp_path, OPTIONS)
        candidate = await repository.prepare("tiny", OPTIONS)
        assert candidate.versions == [2]
        repository.abort(candidate, REASON, {2: "it does not fit", 3: "not here"})
        again = await repository.prepare("tiny", OPTIONS)
        assert (again.versions, again.faults) == ([1], {2: "it does not fit"})
        repository.commit(again)
        assert repository.entry("tiny", "2").reason == "it does not fit"
        repository.close()

    test()
