"""``e2a completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_E2A_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  e2a completion bash > ~/.local/share/bash-completion/completions/e2a
    zsh:   e2a completion zsh > "${fpath[1]}/_e2a"
    fish:  e2a completion fish > ~/.config/fish/completions/e2a.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(click.get_current_context().find_root().command, {}, "e2a", _VARIABLE).source())
