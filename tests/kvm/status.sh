# Sourced by run: the exit status is the program's, or says what went wrong.

run d 10 "$dune" "$guest/die" exit 42
expect 'status of the program' 42
run d 10 "$dune" -- "$guest/die" exit 255
expect 'status 255' 255
for sig in 1 2 6 9 11 15 34; do
	run d 10 "$dune" "$guest/die" signal $sig
	expect "killed by signal $sig" $((128 + sig))
done
run d 10 "$dune" "$guest/die" segv
expect 'killed by a fault' 139
run d 10 "$dune" --time 0.5 "$guest/die" spin
expect 'time limit, spinning' 124
run d 10 "$dune" --time 0.5 "$guest/die" block
expect 'time limit, all signals blocked' 124
run d 10 "$dune" --time 0.5 "$guest/die" sleep
expect 'time limit, sleeping' 124
run d 10 "$dune" --time 0.5 "$guest/thread-exit"
[ "$status" = 124 ] || [ "$status" = 0 ] && status=fine
expect 'time limit with children and threads' fine
run d 10 "$dune" --cpu-time 1 "$guest/die" spin
case $status in 124 | 137 | 152) status=ended ;; esac
expect 'CPU time limit' ended
run d 10 "$dune" --time 5 "$guest/hello"
expect 'time limit not reached' 0 hello

# What is sent to dune-run reaches the program, or ends both.
for sig in TERM INT HUP; do
	"$dune" "$guest/die" sleep </dev/null >"$tmp/d.out" 2>"$tmp/d.err" &
	pid=$!
	usleep 300000 2>/dev/null || sleep 0.3
	kill -$sig $pid
	# sh makes a background job ignore INT: then the program does as well.
	[ $sig != INT ] || {
		usleep 100000 2>/dev/null || sleep 0.1
		kill -9 $pid
	}
	status=0
	wait $pid 2>/dev/null || status=$?
	case $sig,$status in
	TERM,143 | HUP,129 | INT,130 | INT,137) status=ended ;;
	esac
	run=d
	expect "SIG$sig to dune-run" ended
done

# Processes of $guest/die that are alive, a line each.
alive() {
	for p in /proc/[0-9]*; do
		cat "$p/cmdline" 2>/dev/null | tr '\0' ' ' |
			grep "^$guest/die " | sed "s,^,# ${p#/proc/} ,"
	done
}

# A program cannot choose to outlive it, nor can what it started.
for what in cling brood; do
	rm -f "$tmp/d.out" "$tmp/d.err"
	"$dune" "$guest/die" $what </dev/null >"$tmp/d.out" 2>"$tmp/d.err" &
	pid=$!
	until [ -s "$tmp/d.out" ] || [ -s "$tmp/d.err" ]; do
		usleep 10000 2>/dev/null || sleep 0.01
	done
	kill -9 $pid
	wait $pid 2>/dev/null
	status=killed run=d
	expect "SIGKILL to dune-run, $what" killed $what
	for try in 1 2 3 4 5 6 7 8 9 10; do
		[ -n "$(alive)" ] || break
		usleep 200000 2>/dev/null || sleep 0.2
	done
	if [ -n "$(alive)" ]; then
		not_ok "nothing is left when dune-run is killed, $what"
		alive
	else
		ok "nothing is left when dune-run is killed, $what"
	fi
done

run d 10 "$dune"
complains 'no program' 125 PROGRAM
run d 10 "$dune" --nonsense "$guest/hello"
complains 'unknown option' 125 nonsense
run d 10 "$dune" --ro "$tmp/missing" "$guest/hello"
complains 'rule for what is not there' 125 "$tmp/missing"
run d 10 "$dune" --mem lots "$guest/hello"
complains 'size that is none' 125 lots
run d 10 "$dune" --deny no_such_call "$guest/hello"
complains 'system call that is none' 125 no_such_call
run d 10 "$dune" --version
[ $status = 0 ] && grep -q '^dune-run [0-9]' "$tmp/d.out" || status=1
expect '--version' 0
run d 10 "$dune" --help
[ $status = 0 ] && grep -q -e --ro "$tmp/d.out" || status=1
expect '--help' 0
run d 10 sh -c "exec \"$dune\" --help >/dev/full"
complains '--help, and nowhere to print it' 125 'standard output'

# The kernel then places the monitor where the program's memory should be.
(ulimit -s unlimited 2>/dev/null; exec "$dune" "$guest/hello") \
	>"$tmp/u.out" 2>"$tmp/u.err"
status=$? run=u
expect 'an unlimited stack' 0 hello
