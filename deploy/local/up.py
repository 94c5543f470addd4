"""`make run`: the whole product on this machine. Ctrl-C stops it; the data stays for the next start."""

from __future__ import annotations

import sys
import time

from deploy.local import demo, settings, stack
from deploy.local.processes import LocalError
from deploy.local.supervisor import Supervisor


def main() -> int:
    """Runs until a signal; returns the exit status."""
    started = time.monotonic()
    data = settings.data_folder()

    def say(line: str) -> None:
        print(f"· {line}", flush=True)

    try:
        with Supervisor(announce=say) as supervisor:
            running = stack.start(supervisor, data, say)
            say(f"ready after {time.monotonic() - started:.1f} s")
            if running.uses_sandbox:
                try:
                    demo.run(running, say)
                except demo.DemoFailed as error:
                    say(f"{error}")
            else:
                say("TikTok credentials are set. Connect an account: .venv/bin/reelroute accounts connect tiktok")
            _explain(running)
            supervisor.wait()
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _explain(running: stack.Stack) -> None:
    lines = [
        ("API and its docs", f"{running.gateway_url}/docs"),
        ("API key", running.api_key_file.read_text().strip()),
        ("try", f'curl -H "Authorization: Bearer $(cat {running.api_key_file})" {running.gateway_url}/v1/posts'),
        ("logs", str(running.log_folder)),
    ]
    if running.uses_sandbox:
        lines.insert(2, ("sandbox", f"{running.sandbox_url}/control"))
    print()
    for name, value in lines:
        print(f"  {name:<18}{value}")
    print("\n  Ctrl-C stops everything; the data stays.\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
