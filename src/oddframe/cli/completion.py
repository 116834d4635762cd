"""Scripts that complete commands, methods and options in a shell."""

from dataclasses import dataclass
from typing import Any, Literal

from oddframe.cli.values import is_switch
from oddframe.results import Result, workflow

BASH = """\
_oddframe() {{
    local words="{top}"
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o filenames -F _oddframe oddframe
"""


@dataclass(frozen=True)
class Completion(Result):
    """A script, and the shell that reads it."""

    shell: str
    script: str


@workflow
def completion(shell: Literal["bash", "zsh", "fish"]) -> Completion:
    """Write a script that completes commands, methods and options:
    eval "$(oddframe completion bash)".

    Args:
        shell: bash, zsh or fish.
    """
    words = words_by_command()
    if shell == "fish":
        return Completion(shell, fish_script(words))
    script = bash_script(words)
    if shell == "zsh":
        script = f"autoload -U +X bashcompinit && bashcompinit\n{script}"
    return Completion(shell, script)


def words_by_command() -> dict[str, list[str]]:
    """For each command the words that may follow it: its options, and of `fit` the methods too."""
    from oddframe.cli.main import COMMANDS, parser_of
    from oddframe.registry import members

    words: dict[str, list[str]] = {}
    for name in COMMANDS:
        if name != "fit":
            words[name] = flags_of(parser_of(name))
    methods = list(members("methods"))
    options: dict[str, None] = {}
    for method in methods:
        options |= dict.fromkeys(flags_of(parser_of("fit", method)))
    words["fit"] = [*methods, *options]
    return words


def flags_of(command: Any) -> list[str]:
    """The options of a command as they are written."""
    flags = []
    for option in command.options:
        if option.positional:
            continue
        flags.append(option.flag)
        if is_switch(option.hint) and option.default is True:
            flags.append(f"--no-{option.flag[2:]}")
    return flags


def bash_script(words: dict[str, list[str]]) -> str:
    """For bash, and for zsh with bashcompinit."""
    cases = []
    for name, flags in words.items():
        cases.append(f'    {name}) words="{" ".join(flags)}" ;;')
    top = " ".join([*words, "--help", "--version"])
    return BASH.format(top=top, cases="\n".join(cases))


def fish_script(words: dict[str, list[str]]) -> str:
    """For fish."""
    lines = [f"complete -c oddframe -n __fish_use_subcommand -a '{' '.join(words)}'"]
    for name, flags in words.items():
        for flag in flags:
            kind = f"-a {flag}"
            if flag.startswith("--"):
                kind = f"-l {flag[2:]}"
            lines.append(f"complete -c oddframe -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"
