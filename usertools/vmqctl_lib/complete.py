# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Bash's completion of vmqctl: the script, made of the table of commands."""

from .commands import COMMANDS, GLOBALS

# What can be asked of the daemon: kind of word, and the command that answers with a list.
ASKED = {
    "queue": 'queue list --json 2> /dev/null | "$python" -c "import json, sys\n'
             'for one in json.load(sys.stdin)[\\"queues\\"]: print(one[\\"name\\"])"',
    "adapter": 'adapter list --json 2> /dev/null | "$python" -c "import json, sys\n'
               'for one in json.load(sys.stdin)[\\"adapters\\"]: print(one[\\"name\\"])"',
    "method": 'methods --json 2> /dev/null | "$python" -c "import json, sys\n'
              'for one in json.load(sys.stdin)[\\"methods\\"]: print(one[\\"name\\"])"',
    "owner": 'owner list --json 2> /dev/null | "$python" -c "import json, sys\n'
             'for one in json.load(sys.stdin)[\\"owners\\"]: print(one[\\"owner\\"])"',
    "drop": 'drops --json 2> /dev/null | "$python" -c "import json, sys\n'
            'print(\\"all\\")\n'
            'for one in json.load(sys.stdin)[\\"reasons\\"]: print(one[\\"name\\"])"',
}
FIXED = {
    "sort": "rate drops waiting memory name id",
    "setting": "vm= backend.type= memory.buffers= memory.limit= keep_tags=",
}

SCRIPT = """\
# bash completion for vmqctl                                    -*- shell-script -*-
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
# Made of vmqctl's table of commands: vmqctl completion prints it.

_vmqctl_ask()
{
	local python=/usr/bin/python3
	case $1 in
%(asked)s
	esac
}

_vmqctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev= command= words= options= kind= value= i word skip=
	local -a place=()
	[ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	# The command, and which of its words this is; options and their values are passed over.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [ -n "$skip" ]; then
			skip=
			continue
		fi
		case $word in
		%(valued)s) skip=1 ;;
		-*) ;;
		*) place+=("$word") ;;
		esac
	done
	case "${place[0]-} ${place[1]-}" in
%(commands)s
	*)
		case "${place[0]-}" in
		"") words="%(first)s" ;;
%(groups)s
		esac
		;;
	esac
	case $prev in
%(values)s
	esac
	kind=${value:-$kind}
	if [ -z "$value" ] && [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options %(globals)s" -- "$cur"))
		return
	fi
	case $kind in
	file) compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
	%(kinds)s)
		local IFS=$'\\n'
		COMPREPLY=($(compgen -W "$(_vmqctl_ask "$kind")" -- "$cur"))
		;;
%(fixed)s
	*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
	esac
}
complete -F _vmqctl vmqctl
"""


def names(args):
    return " ".join(name for one in args if one.is_option for name in one.names)


def command_case(command):
    """The branch of one command: its options, and the kind of each of its words."""
    words = command.words.split()
    pattern = f'"{command.words}"' if len(words) == 2 else f'"{words[0]} "*'
    lines = [f'\t{pattern})', f'\t\toptions="{names(command.args)}"']
    places = [one for one in command.args if not one.is_option]
    if places:
        lines.append(f"\t\tcase $((${{#place[@]}} - {len(words)})) in")
        for number, one in enumerate(places):
            lines.append(f"\t\t{'*' if one.nargs == '*' else number}) kind={one.kind} ;;")
        lines.append("\t\tesac")
    lines.append("\t\t;;")
    return "\n".join(lines)


def script():
    groups = {}
    for command in COMMANDS:
        first, *rest = command.words.split()
        groups.setdefault(first, []).extend(rest)
    options = [one for command in COMMANDS for one in command.args if one.is_option] + GLOBALS
    valued = sorted({name for one in options if not one.flag for name in one.names})
    kinds = {}
    for one in options:
        if not one.flag:
            kinds.setdefault(one.kind, set()).update(one.names)
    return SCRIPT % {
        "asked": "\n".join(f'\t{kind}) "${{COMP_WORDS[0]}}" {text} ;;'
                           for kind, text in ASKED.items()),
        "valued": " | ".join(valued),
        "commands": "\n".join(command_case(command) for command in COMMANDS),
        "first": " ".join(groups),
        "groups": "\n".join(f'\t\t{first}) words="{" ".join(rest)}" ;;'
                            for first, rest in groups.items() if rest),
        "values": "\n".join(f"\t{' | '.join(sorted(of))}) value={kind} ;;"
                            for kind, of in kinds.items()),
        "globals": " ".join(name for one in GLOBALS for name in one.names) + " --help",
        "kinds": " | ".join(ASKED),
        "fixed": "\n".join(f'\t{kind}) COMPREPLY=($(compgen -W "{text}" -- "$cur")) ;;'
                           for kind, text in FIXED.items()),
    }
