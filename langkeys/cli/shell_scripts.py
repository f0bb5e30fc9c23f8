"""``--install-completion`` and ``--show-completion``: scripts that let a shell ask langkeys.

The script for fish is Typer's. Typer's zsh script offers nothing at the first Tab of a session,
because zsh then runs the file only to define the function. Also, zsh evaluates the words that this
script offers. Typer's bash script offers nothing for ``alice@exa``: bash splits words at ``@``,
``:`` and ``=``, and the script sees only the last part.
"""

from typing import Any, NoReturn

import typer
from typer import completion

from langkeys.errors import FailedError

# bash splits words not only at spaces, so parts without a space between them are joined again. bash
# replaces only $2, the end of the word, so only the rest of an offered word is returned.
_BASH = """\
_langkeys_completion() {
    local rest=${COMP_LINE:0:COMP_POINT} between part kept i n=-1
    local -a joined=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        between=${rest%%[![:space:]]*}
        rest=${rest#"$between"}
        part=${COMP_WORDS[i]}
        [[ ${rest:0:${#part}} == "$part" ]] || part=$rest
        rest=${rest#"$part"}
        if ((n < 0)) || [[ -n $between ]]; then
            ((n += 1))
            joined[n]=$part
        else
            joined[n]+=$part
        fi
    done
    kept=${joined[n]%"$2"}
    COMPREPLY=()
    while IFS= read -r part; do
        [[ -n $part ]] && COMPREPLY+=("${part#"$kept"}")
    done < <(IFS=$'\\n' && env COMP_WORDS="${joined[*]}" COMP_CWORD="$n" \\
        _LANGKEYS_COMPLETE=complete_bash "$1" 2>/dev/null)
}
complete -o default -F _langkeys_completion langkeys
"""

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

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH}


def prepare() -> None:
    """Let langkeys answer a shell, as Typer does for a program with Typer's own options."""
    _typer("completion_init")()


def install(context: typer.Context) -> NoReturn:
    """Install completion for the shell that started langkeys, and exit."""
    shell, path = _typer("install")(_shell(), context.find_root().info_name)
    if shell in _SCRIPTS:
        path.write_text(_SCRIPTS[shell], encoding="utf-8")
    _say(context, f"installed completion for {shell} in {path}: start a new shell to use it\n")


def show(context: typer.Context) -> NoReturn:
    """Print the completion script for the shell that started langkeys, and exit."""
    shell, name = _shell(), str(context.find_root().info_name)
    script = _SCRIPTS.get(shell) or _typer("get_completion_script")(
        prog_name=name, complete_var=f"_{name.upper()}_COMPLETE", shell=shell
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
    # Typer exposes these functions only through its own options.
    return getattr(completion, name)
