# Sourced by tests/dune/run: real programs, unmodified, under dune-run --dune.
# apps/NAME is a script for bash; run natively and in Dune mode, each time in
# an empty directory, it must say the same and end with the same status. Its
# first line names what has to be installed, "small" if it is for emulated
# machines as well.

app() { # NAME
	script=$top/tests/dune/apps/$1
	read -r line <"$script"
	needs=${line#'# needs: '}
	case $line in
	*' | small') needs=${needs%' | small'} ;;
	*) [ -z "${DUNE_RIG-}" ] || return ;;
	esac
	for p in bash $needs; do
		command -v "$p" >/dev/null || {
			skip "app $1" "$p is not installed"
			return
		}
	done
	for side in native dune; do
		mkdir "$tmp/d"
		cd "$tmp/d" || exit
		[ $side = native ] || set -- "$1" "$dune" --dune --
		name=$1
		shift
		run $side 120 "$@" bash "$script"
		# bash tells the number of the process that was killed
		sed -i 's/^\(.*: line [0-9]*:\) *[0-9]* */\1 /' "$tmp/$side.err"
		set -- "$name"
		cd "$top" || exit
		rm -rf "$tmp/d"
		[ $side = dune ] || expected=$status
	done
	if [ "$status" != "$expected" ]; then
		not_ok "app $1" "status $status, natively $expected"
		show stderr "$tmp/dune.err"
	elif ! cmp -s "$tmp/native.out" "$tmp/dune.out" ||
		! cmp -s "$tmp/native.err" "$tmp/dune.err"
	then
		not_ok "app $1" "says something else than natively"
		for f in out err; do
			diff "$tmp/native.$f" "$tmp/dune.$f" >"$tmp/diff"
			show "std$f" "$tmp/diff"
		done
	else
		ok "app $1"
	fi
}

for app in "$top"/tests/dune/apps/*; do
	app=${app##*/}
	case $only in
	'  ' | *" $app "*) app "$app" ;;
	esac
done
