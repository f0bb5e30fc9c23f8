"""Errors for command lines that cannot be parsed, with suggestions.

The usual words of other programs (``ls``, ``rm``, ``--ttl``) lead to a hint with langkeys' own
word. They are not aliases: a user who types ``rm`` should read ``revoke`` before a key is gone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from langkeys.cli.groups import IMPLIED, Group, context_of
from langkeys.cli.options import GlobalOption
from langkeys.errors import UsageError
from langkeys.text import counted, joined

_MOST = 4
"""The maximum number of suggested commands."""

_CLOSE = 0.7
_CLOSE_OPTION = 0.8

_NOUNS: Mapping[str, str] = {
    "api-key": "key keys apikey apikeys token tokens",
    "variable": "var vars variables credential credentials global-variable global-variables env",
    "user": "account accounts member members superuser superusers",
    "secret-key": "secret secrets secretkey fernet fernet-key master-key encryption-key",
    "whoami": "who me login auth identity id",
    "doctor": "check diagnose health status verify validate test audit-config",
    "audit": "log logs history trail events",
    "backup": "snapshot copy dump",
    "init": "setup install start bootstrap configure",
    "run": "exec execute with",
    "help": "man usage docs topics",
}
_TOPICS: Mapping[str, str] = {
    "settings": "config configuration environment env dotenv variables",
    "formats": "format output columns json times spans",
    "references": "ref refs naming names ids",
    "exit-codes": "codes errors exit status",
    "langflow-versions": "versions langflow generations compatibility",
}
_VERBS: Mapping[str, str] = {
    "list": "ls ll all index",
    "show": "get view describe info inspect cat read details",
    "create": "add new make generate gen mint issue register",
    "set": "add new create put write edit update change store",
    "update": "edit change modify rename set patch",
    "revoke": "rm remove del delete destroy kill unset drop invalidate expire",
    "delete": "rm remove del destroy unset drop revoke",
    "deactivate": "disable off suspend lock rm remove del delete",
    "activate": "enable on resume unlock",
    "rotate": "renew replace roll regenerate refresh cycle",
    "prune": "clean cleanup gc purge",
    "migrate": "upgrade convert reencrypt re-encrypt",
    "set-password": "passwd password reset-password change-password",
    "promote": "grant make-superuser",
    "demote": "ungrant",
    "import": "load",
    "export": "dump save env",
    "explain": "why which",
    "check": "verify validate test status",
    "generate": "new gen create make",
}
_OPTIONS: Mapping[str, str] = {
    "--expires": "--ttl --expiry --expire --expiration --expires-at --expires-in --lifetime",
    "--write-to": "--out --output --file --output-file -o",
    "--replace": "--overwrite --force -f",
    "--yes": "-y --assume-yes --no-confirm --confirm --non-interactive --force -f",
    "--dry-run": "--noop --no-op --what-if --simulate --check",
    "--json": "-j --format --output -o",
    "--database": "--db -d --db-url --database-url --database-path",
    "--env-file": "--env --dotenv --config -c -e",
    "--quiet": "-s --silent",
    "--reason": "-m --message --comment",
    "--url": "--server --host --endpoint --address",
    "--user": "-u --owner --username --as --for",
    "--all-users": "-a --all -A --everyone --any-user",
    "--all": "-a --all-keys",
    "--name": "-n --label --title",
    "--value-file": "--value --secret --file --from-file --key-file -v",
    "--password-file": "--password --pass --passwd -p --password-stdin",
    "--random": "--generate --generate-password",
    "--api-key": "--key --token -k --apikey",
    "--unused-for": "--unused --idle --inactive-for --not-used-for",
    "--older-than": "--age --older --created-before --min-age",
    "--expires-within": "--expiring --expires-before --expiring-in",
    "--status": "--state --active --inactive",
    "--superuser": "--admin --is-superuser",
    "--reveal": "--show --plain --plaintext --unmask --show-value",
    "--only": "--include --name --variable",
    "--grace": "--grace-period --overlap --keep-for",
    "--since": "--from --after",
    "--limit": "--max --head --count -n -l",
    "--count": "--number --times -n",
    "--version": "-V -v --ver",
    "--help": "-? --usage",
}
_OUTPUT_OPTIONS = frozenset({"--write-to", "-f", *_OPTIONS["--write-to"].split()})
_INSTEAD: Mapping[str, str] = {
    "--no-color": "set NO_COLOR=1 in the environment",
    "--no-colour": "set NO_COLOR=1 in the environment",
    "--no-input": "questions are only asked at a terminal, and --yes skips them",
    "--debug": "set LANGKEYS_DEBUG=1 in the environment",
    "--verbose": "set LANGKEYS_DEBUG=1 in the environment",
    "--trace": "set LANGKEYS_DEBUG=1 in the environment",
}
"""What to use instead of other programs' options."""

_COMMAND_FOR_OPTION: Mapping[tuple[str, str], str] = {
    ("api-key revoke", "--all"): "langkeys api-key prune",
}
"""Which other command an option of a command was probably meant for."""

_FOR_ARGUMENT: Mapping[str, Sequence[str]] = {
    "api-key create": ["--name NAME"],
    "api-key ensure": ["--value-file FILE"],
    "api-key list": ["--user USER", "langkeys api-key show REF"],
    "api-key prune": ["--user USER", "langkeys api-key revoke REF"],
    "api-key update": ["--name NAME"],
    "apply": ["-f FILE"],
    "audit": ["--since WHEN", "--user USER", "--key REF"],
    "backup": ["--with-secret-key FILE"],
    "doctor": ["--database URL_OR_PATH"],
    "manifest": ["--user USER"],
    "plan": ["-f FILE"],
    "secret-key check": ["--old-key-file FILE"],
    "secret-key rotate": ["--new-key-file FILE"],
    "user create": ["--password-file FILE"],
    "user list": ["langkeys user show USER"],
    "user set-password": ["--password-file FILE"],
    "variable export": ["--only NAME"],
    "variable import": ["--only NAME"],
    "variable list": ["--user USER", "langkeys variable show NAME"],
    "variable set": ["--value-file FILE"],
}
"""What a superfluous argument was probably meant for, by command."""

_DELETING = frozenset(_VERBS["delete"].split()) - {"revoke"} | {"delete"}
"""Words that mean to revoke or to delete if the object is not named."""

_NO_COMMAND: Mapping[str, str] = {
    "restore": "a backup is restored by copying it in place while the server is stopped:"
    " docs/backup.md explains how",
}
"""What to do instead of using commands of other programs."""

_SHOWABLE = re.compile(r"(?!sk-|gAAAAA)[A-Za-z0-9._-]{1,19}")
"""An argument that is neither a key nor a token nor a URL."""

_OPTION_FOR: Mapping[str, str] = {"version": "--version", "completion": "--install-completion"}


def unknown_command(
    context: Any,
    word: str,
    like: Sequence[str],
    *,
    what: str = "command",
    topics: Sequence[str] = (),
) -> UsageError:
    """Return the error for an unknown command; ``like`` are similar commands.

    ``topics`` are valid, too, and are listed if nothing is similar.
    """
    path = context.command_path
    see = f"see {path} --help"
    if topics and not like:
        see = f"the topics are {joined(topics)}; for the commands, {see}"
    if context.parent is None:
        see = _NO_COMMAND.get(word.lower(), see)
    shown = word if len(word) <= 40 else f"{word[:39]}…"
    return UsageError(
        f"no such {what}: {shown if what != 'command' else f'{path} {shown}'}",
        hint=_hint([f"langkeys {command}" for command in like], see),
    )


def too_many_arguments(context: Any, arguments: Sequence[str]) -> UsageError:
    """Return the error for superfluous arguments; it shows only what cannot be a secret."""
    path = context.command_path
    meant = _FOR_ARGUMENT.get(path.partition(" ")[2], ())
    takes_secret = any("-file" in option for option in meant)
    secret = "" if meant and not takes_secret else "; a secret is never given as an argument"
    is_shown = not secret and all(map(_SHOWABLE.fullmatch, arguments))
    shown = f": {', '.join(map(repr, arguments[:_MOST]))}" if is_shown else ""
    return UsageError(
        f"{counted(len(arguments), 'argument')} too many for {path}{shown}",
        hint=_hint(meant, f"see {path} --help{secret}"),
    )


def commands_like(context: Any, word: str, *, also: Iterable[str] = ()) -> list[str]:
    """Return commands that a mistyped word in a group may mean, the most likely first.

    Each is the part after ``langkeys``. ``also`` are further words that are valid here, after
    ``help``.
    """
    start = context.command_path.split()[1:]
    names = context.command.list_commands(context)
    root = context.find_root().command
    folded = word.lower().replace("_", "-")
    if not start and folded in _OPTION_FOR:
        return [_OPTION_FOR[folded]]
    if not start and folded in _DELETING:
        return ["api-key revoke", "variable delete"]
    if not start and folded in _NO_COMMAND:
        return []
    for find in (_same, _close):
        here = find(folded, names, _VERBS if start else _NOUNS)
        if here:
            return [" ".join([*start, here[0]])]
        topics = find(folded, [*also], _TOPICS)
        if topics:
            return [f"help {topics[0]}"]
        if start:
            elsewhere = find(folded, root.list_commands(context), _NOUNS)[:1]
        else:
            verbs = {name for _, members in _groups(context) for name in members}
            meant = find(folded, sorted(verbs), _VERBS)
            elsewhere = [
                f"{noun} {verb}"
                for verb in meant
                for noun, members in _groups(context)
                if verb in members
            ]
        if elsewhere:
            return elsewhere[:_MOST]
    return []


def command_paths(context: Any) -> list[str]:
    """Return all commands, each as the part after ``langkeys``."""
    groups = dict(_groups(context))
    names = context.find_root().command.list_commands(context)
    return [
        path
        for name in names
        for path in [f"{name} {verb}" for verb in groups.get(name, ())] or [name]
    ]


def paths_like(context: Any, words: Sequence[str]) -> list[str]:
    """Return commands that mistyped words may mean, the most likely first."""
    root = context.find_root()
    noun, *verbs = words
    group = root.command.get_command(root, noun)
    if verbs and isinstance(group, Group):
        return commands_like(context_of(root, group, noun), verbs[0])
    like = commands_like(root, noun)
    if like and verbs:
        # The noun is mistyped, too: "apikey revok".
        found = paths_like(context, [like[0], *verbs]) if like[0] != noun else []
        known = f"{like[0]} {verbs[0]}"
        return [known] if known in command_paths(context) else found
    return like


def _groups(context: Any) -> Iterator[tuple[str, list[str]]]:
    root = context.find_root().command
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, Group):
            yield name, command.list_commands(context)


def _same(word: str, names: Sequence[str], synonyms: Mapping[str, str]) -> list[str]:
    """Return names that equal a word or its singular, or that have it as a synonym."""
    forms = (word, word.removesuffix("s"))
    for form in forms:
        if form in names:
            return [form]
    for form in forms:
        found = [name for name in synonyms if name in names and form in synonyms[name].split()]
        if found:
            return found
    return []


def _close(
    word: str, names: Sequence[str], synonyms: Mapping[str, str], cutoff: float = _CLOSE
) -> list[str]:
    """Return names that start with a word or are similar to it."""
    starting = [name for name in names if word and name.startswith(word)]
    if len(starting) == 1:
        return starting
    # The first letter is rarely mistyped, and "restore" is not a mistyped "store".
    alike = [name for name in names if name[:1] == word[:1]]
    close = get_close_matches(word, alike, n=1, cutoff=cutoff)
    if close:
        return close
    known = [
        other
        for name in names
        for other in synonyms.get(name, "").split()
        if len(other) > 3 and other[0] == word[:1]
    ]
    meant = get_close_matches(word, known, n=1, cutoff=0.8)
    return [name for name in names if meant and meant[0] in synonyms.get(name, "").split()]


def parse_error(error: Any) -> UsageError:
    """Translate a parsing error of Typer into langkeys' words, with suggestions."""
    context = getattr(error, "ctx", None)
    path = "langkeys" if context is None else context.command_path
    see = f"see {path} --help"
    option = getattr(error, "option_name", None)
    parameter = getattr(error, "param", None)
    if option is not None and context is not None:
        known = {name for one in context.command.get_params(context) for name in one.opts}
        if option in known:
            needs = "requires" in error.message
            return UsageError(f"{option} {'requires a' if needs else 'takes no'} value", hint=see)
        of = f" of {path}" if _is_after_command(context) else ""
        return UsageError(f"no such option{of}: {option}", hint=_option_hint(context, option, see))
    if parameter is not None:
        return UsageError(_parameter_message(parameter, error), hint=see)
    return UsageError(_lowered(error.format_message()), hint=see)


def _is_after_command(context: Any) -> bool:
    """Tell whether the options follow the name of a command, not only that of its group."""
    return not isinstance(context.command, Group) and IMPLIED not in context.meta


def _option_hint(context: Any, option: str, see: str) -> str:
    parameters = [
        one for one in context.command.get_params(context) if one.param_type_name == "option"
    ]
    names = [name for one in parameters for name in one.opts]
    folded = option.replace("_", "-")
    if len(folded) > 2:
        folded = folded.lower()
    if context.command.name == "manifest" and folded in _OUTPUT_OPTIONS:
        return "the manifest goes to stdout: langkeys manifest > FILE"
    meant = _same(folded, names, _OPTIONS)
    if meant:
        return _hint(meant[:1], see)
    if folded in _INSTEAD:
        return _INSTEAD[folded]
    path = context.command_path.partition(" ")[2]
    if (path, folded) in _COMMAND_FOR_OPTION:
        return _hint([_COMMAND_FOR_OPTION[path, folded]], see)
    if _is_after_command(context):
        return _hint(_close(folded, names, _OPTIONS, _CLOSE_OPTION), see)
    owners = _commands_with(context, folded)
    if owners:
        named = ", ".join(owners[:_MOST]) + (", ..." if len(owners) > _MOST else "")
        return f"{folded} is an option of {named} and goes after the command; {see}"
    return _hint(_close(folded, names, _OPTIONS, _CLOSE_OPTION), see)


def _commands_with(context: Any, option: str) -> list[str]:
    """Return commands near this one that have an option: its subcommands, or else its siblings."""
    around = context if isinstance(context.command, Group) else context.parent
    return [] if around is None else [*_owners(around, option)]


def _owners(context: Any, option: str) -> Iterator[str]:
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        below = context_of(context, command, name)
        if isinstance(command, Group):
            yield from _owners(below, option)
        elif any(
            option in one.opts and not isinstance(one, GlobalOption) for one in command.params
        ):
            yield below.command_path


def _parameter_message(parameter: Any, error: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    name = parameter.human_readable_name.strip("[].") if is_argument else parameter.opts[0]
    if not error.message or type(error).__name__ == "MissingParameter":
        return f"missing {'argument' if is_argument else 'option'} {name}"
    message = error.message.rstrip(".")
    limits = re.search(r"is not in the range (-?\d+)<=x<=(-?\d+)", message)
    if limits is not None:
        message = f"{message[: limits.start()]}is not a number from {limits[1]} to {limits[2]}"
    message = re.sub(r"is not a valid int\w*( range)?", "is not a whole number", message)
    return f"{name}: {message}"


def _hint(like: Sequence[str], see: str) -> str:
    if not like:
        return see
    return f"did you mean {joined(like, 'or')}? {see}"


def _lowered(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}".rstrip(".")
