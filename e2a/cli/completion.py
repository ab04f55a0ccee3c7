"""``e2a completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem, get_completion_class

_VARIABLE = "_E2A_COMPLETE"
#: In zsh the script is a function of that name. Its own test finds that out in the first call, and not in the next.
_ZSH_CONTEXT = ("$zsh_eval_context[-1] == loadautofunc", "$funcstack[1] == _e2a")


def words(*known: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Completes an argument by these words, and takes any other too."""
    return lambda context, parameter, begun: [CompletionItem(word) for word in known if word.startswith(begun)]


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
    script = found(click.get_current_context().find_root().command, {}, "e2a", _VARIABLE).source()
    click.echo(script.replace(*_ZSH_CONTEXT))
