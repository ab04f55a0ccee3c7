"""Commands for whoever runs a deployment. They need the daemon's own code and its configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .errors import FAILED, UNAVAILABLE, CommandError
from .serve import server_installed

if TYPE_CHECKING:
    from ..service.doctor.report import Finding

_CONFIG = click.option(
    "--config",
    "-c",
    metavar="FILE",
    help="The YAML configuration file (default: ./config.yaml, /etc/e2a/config.yaml, or none).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def commands(main: click.Group) -> None:
    for command in (doctor, rotate_master_key):
        main.add_command(command)


@click.command()
@_CONFIG
@_JSON
@click.option("--network", is_flag=True, help="Also try port 25, outwards and of this host by its public name.")
@click.option(
    "--probe", metavar="DOMAIN", default="gmail.com", show_default=True, help="Whose mail server --network tries."
)
@click.option("--all", "everything", is_flag=True, help="Also show what was skipped.")
def doctor(config: str | None, as_json: bool, network: bool, probe: str, everything: bool) -> None:
    """Examine this deployment without changing anything.

    Looks at the settings, the deployment secret, this machine, the database and its queues, the DNS, the certificate,
    the ports and the way out. No secret is shown and no mail is sent.

    Exit code: 0 when nothing is wrong, 10 with warnings, 11 when something does not work, 2 for wrong usage.
    """
    with server_installed():
        from ..service.doctor.examination import run
        from ..service.doctor.report import document, exit_code
    findings = run(config, network=network, probe=probe)
    if as_json:
        click.echo(json.dumps(document(findings), ensure_ascii=False, indent=2))
    else:
        _show(findings, everything)
    raise SystemExit(exit_code(findings))


def _show(findings: Sequence[Finding], everything: bool) -> None:
    shown = [finding for finding in findings if everything or finding.status != "skip"]
    width = max((len(finding.check) for finding in shown), default=0)
    for finding in shown:
        word = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
        click.echo(f"{word}  {finding.check:<{width}}  {_line(finding.found)}")
        if finding.hint and finding.status != "ok":
            click.echo(f"{'':<6}{'':<{width}}  {_line(finding.hint)}")
    counts = {
        status: sum(finding.status == status for finding in findings) for status in ("ok", "warn", "fail", "skip")
    }
    click.echo(
        f"{counts['ok']} well, {counts['warn']} doubtful, {counts['fail']} wrong, {counts['skip']} skipped"
        + ("" if everything or not counts["skip"] else " (--all shows them)")
    )


def _line(text: str) -> str:
    return _CONTROL.sub("?", text)


@click.command("rotate-master-key")
@_CONFIG
@_JSON
@click.option("--check", is_flag=True, help="Change nothing: only say what is under a former deployment secret.")
def rotate_master_key(config: str | None, as_json: bool, check: bool) -> None:
    """Seal everything anew under the current secret.

    To be run after `signing.hmac_secret` was replaced on every daemon and its former value put into
    `signing.old_hmac_secrets`. The daemons go on running; an interrupted run is simply repeated.

    Exit code: 0 when everything is under the current secret, 1 when something is left, 7 without the database.
    """
    with server_installed():
        from ..service.masterkey import run
        from ..service.options import settings_or_exit
    rotation = run(settings_or_exit(config), check=check)
    if rotation.error:
        raise CommandError(rotation.error, exit_code=UNAVAILABLE)
    if as_json:
        document = {
            "complete": rotation.complete,
            "resealed": {each.what: each.resealed for each in rotation.rotated},
            "damaged": [row_id for each in rotation.rotated for row_id in each.damaged],
            "sealed": [{"what": seal.what, "under": seal.state, "count": seal.count} for seal in rotation.seals],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for each in rotation.rotated:
            click.echo(f"{each.what}: {each.resealed} sealed anew")
            for row_id in each.damaged:
                click.echo(f"  {row_id} is damaged and cannot be opened", err=True)
        for seal in rotation.seals:
            click.echo(f"{seal.what}: {seal.count} under {_UNDER[seal.state]}")
        if rotation.complete:
            click.echo("Nothing is left under a former deployment secret.")
    if not rotation.complete:
        raise SystemExit(FAILED)


_UNDER = {
    "current": "the current deployment secret",
    "old": "a former deployment secret",
    "unknown": "a deployment secret that is not configured",
}
