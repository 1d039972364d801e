# Sourced by the suites that run programs under dune-run: TAP, scratch space,
# native against sandboxed. POSIX sh and busybox's applets only: the suites
# also run in the emulated machines.
#
# Sets: top (the repository), tmp (removed at the end), dune, guest.

export LC_ALL=C
top=$(cd "$(dirname "$0")/../.." && pwd)
dune=$top/build/dune-run
guest=$top/build/tests/guest
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tests=0 failures=0

ok() { # DESCRIPTION
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

skip() { # DESCRIPTION, REASON
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

not_ok() { # DESCRIPTION [EXPLANATION...]
	tests=$((tests + 1)) failures=$((failures + 1))
	echo "not ok $tests - $1"
	shift
	for line; do
		printf '%s\n' "$line" | sed 's/^/# /'
	done
}

# The head of a file as diagnostics; a TAP word in it must not count.
show() { # WORD, FILE
	[ ! -s "$2" ] || head -n 8 "$2" | cut -c 1-160 | sed "s/^/# $1: /"
}

finish() {
	echo "1..$tests"
	[ "$failures" = 0 ]
	exit
}

need_dune() {
	[ -x "$dune" ] || {
		echo "1..0 # SKIP build/dune-run is not there; run make"
		exit
	}
}

# Milliseconds since boot. /proc/uptime counts in hundredths.
now() {
	read -r up rest </proc/uptime
	up=${up%.*}${up#*.}
	echo "${up}0"
}

# Runs a command with a time limit and keeps what it says and its status:
# $tmp/NAME.out, $tmp/NAME.err, $status. KILL comes 2 seconds after TERM.
run() { # NAME SECONDS COMMAND...
	run=$1 limit=$2
	shift 2
	status=0
	timeout -k 2 "$limit" "$@" </dev/null >"$tmp/$run.out" \
		2>"$tmp/$run.err" || status=$?
}

# No status can tell a monitor that broke from a program that died.
broken() { # NAME
	grep -q -e '^dune-run: internal' -e 'dune-run: .*[Aa]ssert' \
		"$tmp/$1.err"
}

# The sandboxed run must have this status, and this standard output if a
# second argument is there.
expect() { # DESCRIPTION STATUS [OUTPUT]
	if [ "$status" != "$2" ]; then
		not_ok "$1" "status $status, expected $2"
	elif [ $# -gt 2 ] && [ "$(cat "$tmp/$run.out")" != "$3" ]; then
		not_ok "$1" "output differs, expected: $3"
	elif broken "$run"; then
		not_ok "$1" "internal failure"
	else
		ok "$1"
		return
	fi
	show stdout "$tmp/$run.out"
	show stderr "$tmp/$run.err"
}

# A failure to start: the status, and one line that names the object.
complains() { # DESCRIPTION STATUS OBJECT
	if [ "$status" != "$2" ]; then
		not_ok "$1" "status $status, expected $2"
	elif [ "$(grep -c . "$tmp/$run.err")" != 1 ]; then
		not_ok "$1" "expected one line of explanation"
	elif ! grep -q "^dune-run: .*$3" "$tmp/$run.err"; then
		not_ok "$1" "the message does not name $3"
	else
		ok "$1"
		return
	fi
	show stderr "$tmp/$run.err"
}
