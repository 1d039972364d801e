# Sourced by tests/dune/run: the sandbox's guest programs (tests/kvm/guest) in
# Dune mode. Natively they say what is right. Left out is what must differ: hlt
# is no fault in ring 0, our descriptors are in /proc/self/fd, a thread has to
# have libc's TLS.

# @ is a directory of the run's own. The emulated machines get the first ones.
guests() {
	cat <<-'END'
		hello
		batch
		mmap-file|@
		mprotect
		mremap
		sig-context
		signals
		spawn
		thread-exit
	END
	[ -z "${DUNE_RIG-}" ] || return 0
	cat <<-'END'
		args|a 'b c' ''
		brk
		efault
		exec-thread
		exec|@
		exitless|@
		fexec
		files|@
		fork
		fork-thread
		fpu
		futex
		inotify|@
		jit
		misc
		mmap
		mmap-storm
		mmap-threads
		pipes|@
		poll
		robust
		shm
		sig-altstack
		sig-queue
		sig-regs
		sig-restart
		sig-stop
		sig-storm
		sockets
		stack
		storm
		threads
		timers
		tls
		vdso
		vfork
		wait
	END
}

guest() { # NAME ARGUMENTS
	for side in guest dune-guest; do
		eval "set -- $1 $(echo "${2-}" | sed "s,@,$tmp/d,g")"
		name=$1
		shift
		mkdir -p "$tmp/d"
		began=$(now)
		run $side $limit "$build/tests/$side/$name" "$@"
		rm -rf "$tmp/d"
		[ $side = dune-guest ] || expected=$status
		set -- "$name" "${arguments-}"
	done
	if [ "$status" != "$expected" ]; then
		not_ok "guest $name" "status $status after" \
			"$(($(now) - began)) ms, natively $expected"
		show stdout "$tmp/dune-guest.out"
		show stderr "$tmp/dune-guest.err"
	elif ! cmp -s "$tmp/guest.out" "$tmp/dune-guest.out"; then
		not_ok "guest $name" "output differs from the native run's"
		diff "$tmp/guest.out" "$tmp/dune-guest.out" >"$tmp/diff"
		show diff "$tmp/diff"
		show stderr "$tmp/dune-guest.err"
	else
		ok "guest $name"
	fi
}

guests >"$tmp/guests"
while IFS='|' read -r name arguments <&3; do
	case $only in
	'  ' | *" $name "*) guest "$name" "${arguments-}" ;;
	esac
done 3<"$tmp/guests"
