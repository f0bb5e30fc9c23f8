"""``--install-completion`` and ``--show-completion``: scripts with which a shell asks langkeys.

The scripts are Typer's, except for zsh. Typer's zsh script completes nothing at the first Tab of a
session, because zsh then runs the file only to define the function; and zsh evaluates its output.
"""

from typing import Any, NoReturn

import typer
from typer import completion

from langkeys.errors import FailedError

_ZSH = """\
#compdef langkeys

_langkeys() {
  local line
  local -a offered
  for line in "${(@f)$(env _LANGKEYS_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
      _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" langkeys 2>/dev/null)}"; do
    [[ -n $line ]] && offered+=("${${line%%$'\\t'*}//:/\\\\:}:${${line#*$'\\t'}//$'\\t'/ }")
  done
  if (( $#offered )); then
    _describe langkeys offered
  else
    _files
  fi
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _langkeys "$@"
else
  compdef _langkeys langkeys
fi
"""


def prepare() -> None:
    """Let langkeys answer a shell, as Typer does for a program with its own options."""
    _typer("completion_init")()


def install(context: typer.Context) -> NoReturn:
    """Install completion for the shell that langkeys was started from, and exit."""
    shell, path = _typer("install")(_shell(), context.find_root().info_name)
    if shell == "zsh":
        path.write_text(_ZSH, encoding="utf-8")
    _say(context, f"installed completion for {shell} in {path}: start a new shell to use it\n")


def show(context: typer.Context) -> NoReturn:
    """Print the completion script for the shell that langkeys runs in, and exit."""
    shell, name = _shell(), str(context.find_root().info_name)
    script = (
        _ZSH
        if shell == "zsh"
        else _typer("get_completion_script")(
            prog_name=name, complete_var=f"_{name.upper()}_COMPLETE", shell=shell
        )
    )
    _say(context, f"{script.rstrip()}\n")


def _shell() -> str:
    found = _typer("_get_shell_name")()
    if found not in ("bash", "zsh", "fish"):
        raise FailedError(
            f"cannot complete in this shell: {found or 'it was not recognized'}",
            hint="start langkeys from bash, zsh or fish",
        )
    return str(found)


def _say(context: typer.Context, text: str) -> NoReturn:
    from langkeys.cli.options import invocation

    invocation(context).output.data(text)
    raise typer.Exit


def _typer(name: str) -> Any:
    # Typer offers these only through its own options.
    return getattr(completion, name)
