from pathlib import Path

import pytest

from deploy.local import stack
from deploy.local.postgres import EmbeddedPostgres, PostgresError
from deploy.local.supervisor import Supervisor


def test_a_second_start_on_a_folder_in_use_leaves_the_ports_and_secrets_of_the_first_alone(
    folder: Path, data_dir: Path
) -> None:
    with (
        EmbeddedPostgres(data_dir, durable=False),
        Supervisor(announce=lambda line: None) as supervisor,
        pytest.raises(PostgresError, match="already in use"),
    ):
        stack.start(supervisor, folder, lambda line: None, environment={})

    assert not (folder / "ports.json").exists()
    assert not (folder / "secrets.json").exists()
