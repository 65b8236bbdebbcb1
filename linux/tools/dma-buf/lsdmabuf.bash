# SPDX-License-Identifier: GPL-2.0-only
# bash completion for lsdmabuf: its options, and after --why a command

_lsdmabuf()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i
	local options="--tree --totals --pid --watch --why --stop --user --verbose
		--json --output --help --version"

	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-p | --pid)
		mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur")
		return
		;;
	-o | --output)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-u | --user)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	esac
	# What follows the command belongs to it
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-p | --pid | -o | --output | -u | --user) ((i++)) ;;
		-*) ;;
		*)
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		esac
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [[ " ${COMP_WORDS[*]} " =~ " --why "|" -y " ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
}

complete -F _lsdmabuf lsdmabuf
