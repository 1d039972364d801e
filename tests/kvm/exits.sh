# Sourced by run: how often a program leaves the VM. Counts, not times: they do
# not depend on the machine.

exits() { # PROGRAM...: sets n
	run p 20 "$dune" --stat "$@"
	n=$(sed -n 's/^VM: \([0-9]*\) exits.*/\1/p' "$tmp/p.err")
	[ -n "$n" ] || n=unknown
}

at_most() { # DESCRIPTION LIMIT
	if [ "$status" = 0 ] && [ "$n" != unknown ] && [ "$n" -le "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "status $status, $n exits, at most $2 expected"
	fi
}

exits "$guest/hello"
at_most 'exits of hello' 40
exits "$guest/vdso"
if grep -q ' clock_gettime$' "$tmp/p.err"; then
	at_most 'exits of 30000 clock readings' 60
else
	not_ok 'exits of 30000 clock readings' 'no calls counted'
fi

# Identity is answered where it is asked for.
exits --exitless=on "$guest/burst" getpid
at_most 'exits of 10000 getpid' 100

# The rest by a thread that needs a CPU of its own. Where it gets none, each call
# costs the exit that it costs without, and hardly more.
served() { # WHAT, LIMIT
	for try in 1 2 3 4 5; do
		exits "$guest/burst" "$1"
		[ "$status" = 0 ] && [ "$n" -gt "$2" ] || return 0
	done
	return 1
}
few() { # WHAT, LIMIT
	if [ "$(nproc)" -ge 2 ] && { served "$1" "$2" ||
			[ "$(cut -d . -f 1 /proc/loadavg)" -eq 0 ]; }; then
		at_most "exits of 10000 $1" "$2"
	else
		exits "$guest/burst" "$1"
		at_most "exits of 10000 $1" 10200
	fi
}
few getppid 1000
few memory 4000
few copies 4000
an_exit_each() { # WHAT, CALLS
	if [ "$status" = 0 ] && [ "$n" -ge "$2" ]; then
		ok "an exit for each $1"
	else
		not_ok "an exit for each $1" "status $status, $n exits"
	fi
}
exits --exitless=off "$guest/burst" getppid
an_exit_each 'call without a proxy' 10000
# One for a batch of 64.
exits --exitless=off "$guest/batch" 100
at_most 'exits of 100 batches' 140
# A signal has to find who copies.
exits --exitless=on "$guest/burst" long
an_exit_each 'long copy' 100

# Who waits costs nothing: hardly an exit more for two seconds more, where a
# look each millisecond would be 2000. (Start-up takes some more or less.)
exits sleep 1
[ "$n" != unknown ] || n=0
asleep=$((n + 100))
exits sleep 3
at_most 'exits of a longer sleep' "$asleep"
