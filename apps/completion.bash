# Bash completes the options of dune-run and its companions, as their --help
# names them, and for dune-run then the program with the completion of its own.

# The word where the program of dune-run begins, or nothing yet.
_dune_program()
{
	local i=1 takes

	takes=" $(dune-run --help | grep -oE -- '--[a-z-]+ [A-Z]' |
		cut -d' ' -f1 | tr '\n' ' ')"
	while ((i < COMP_CWORD)); do
		case ${COMP_WORDS[i]} in
		--) ((i++)); break ;;
		=) ((i += 2)) ;;	# --trace=FILE is three words
		-*)
			[[ $takes == *" ${COMP_WORDS[i]} "* ]] &&
				[[ ${COMP_WORDS[i + 1]} != = ]] && ((i++))
			((i++)) ;;
		*) break ;;
		esac
	done
	((i <= COMP_CWORD)) && [[ ${COMP_WORDS[i]} != [-=]* ]] && echo "$i"
}

_dune()
{
	local cur=${COMP_WORDS[COMP_CWORD]} at

	if [[ ${1##*/} == dune-run ]]; then
		at=$(_dune_program)
	fi
	if [[ $at ]] && declare -F _command_offset >/dev/null; then
		_command_offset "$at"
		return
	fi
	if [[ $at == "$COMP_CWORD" && $cur ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u)
		return
	fi
	[[ $cur == -* && ! $at ]] || return
	mapfile -t COMPREPLY < <(compgen -W "$("$1" --help |
		grep -oE -- '--[a-z-]+')" -- "$cur" | sort -u)
}
complete -o default -F _dune dune-run dune-check dune-plughost dune-sql \
	dune-thumbs dune-xml
