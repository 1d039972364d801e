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
