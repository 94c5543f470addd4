"""What a local installation keeps between starts."""

import json
from pathlib import Path

from deploy.local.settings import SERVICES, local_secrets


def test_an_installation_of_an_older_version_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    first = local_secrets(tmp_path)
    assert set(first.database_passwords) == set(SERVICES)
    path = tmp_path / "secrets.json"
    kept = json.loads(path.read_text())
    del kept["database_passwords"]["fulfillment"]
    path.write_text(json.dumps(kept))
    after = local_secrets(tmp_path)
    assert after.database_passwords.keys() == first.database_passwords.keys()
    assert kept["database_passwords"].items() <= after.database_passwords.items()
    assert (after.service_token, after.master_key) == (first.service_token, first.master_key)
    assert local_secrets(tmp_path) == after
    assert path.stat().st_mode & 0o777 == 0o600
