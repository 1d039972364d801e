# Sourced by run: what surrounds dune-run when it starts: descriptors, limits,
# filters of a container, another's /proc.

# What is open besides 0, 1 and 2 must not stay so without a word.
for errno in 1 38; do
	run a 10 sh -c "exec '$guest/without' 436 $errno '$dune' \
		'$guest/hello' 9</etc/passwd"
	complains "a filter without close_range, errno $errno" 125 close_range
done
run a 10 "$guest/without" 434 38 "$dune" "$guest/hello"
complains 'a filter without pidfd_open' 125 broker
run a 10 "$guest/without" 444 38 "$dune" "$guest/hello"
complains 'a filter without Landlock' 125 Landlock

(ulimit -s 64; exec "$dune" "$guest/hello") >"$tmp/a.out" 2>"$tmp/a.err"
status=$?
complains 'a stack that is too small' 125 stack
(ulimit -s 256; exec "$dune" "$guest/hello") >"$tmp/a.out" 2>"$tmp/a.err"
status=$?
expect 'a small stack' 0 hello

(ulimit -Sd 20000; exec "$dune" "$guest/hello") >"$tmp/a.out" 2>"$tmp/a.err"
status=$?
expect 'a limit of data below what a VM takes' 0 hello

if unshare -pf true 2>/dev/null; then
	run a 10 unshare -pf "$dune" "$guest/hello"
	complains "another PID namespace's /proc" 125 /proc
else
	skip "another PID namespace's /proc" 'no PID namespaces here'
fi

# The kernel tells the leader of the terminal's session alone.
run native 10 "$guest/hangup" "$guest/die" cling
run a 10 "$guest/hangup" "$dune" "$guest/die" cling
if [ -s "$tmp/native.out" ]; then
	expect 'the terminal hangs up' 0 "$(cat "$tmp/native.out")"
else
	skip 'the terminal hangs up' 'no pseudo terminals here'
fi

# perl -e 'alarm 5; exec @ARGV' is many people's timeout(1).
run a 10 "$guest/alarm" "$dune" "$guest/die" cling
expect 'an alarm set before the start' 142
