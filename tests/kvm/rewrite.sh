# Sourced by run: guest programs whose system call sites are rewritten at their
# first use, where `syscall` traps; where it does not, nothing is rewritten.

rewritten() { # NAME [OPTIONS ARGUMENTS]
	same "$1" "--rewrite=on ${2-}" "${3-}"
}

run p 20 "$dune" --stat --rewrite=on "$guest/burst" getppid
sites=$(sed -n 's/.* \([0-9]*\) call sites rewritten;.*/\1/p' "$tmp/p.err")
if ! grep -q '^KVM: software' "$tmp/p.err"; then
	expect 'no site rewritten' 0 'all the same'
	[ "$sites" = 0 ] || not_ok 'no site rewritten' "$sites sites"
elif [ "${sites:-0}" = 0 ]; then
	not_ok 'sites rewritten' 'none'
else
	ok 'sites rewritten'
	rewritten rewrite '--exitless=off --rw @' @
	rewritten rewrite '--exitless=on --rw @' @
	same rewrite '--exitless=on --rw @' @
	same rewrite '--rewrite=off --exitless=on --rw @' '@ original'
	rewritten exitless '--exitless=on --rw @' @
	for name in signals sig-storm sig-restart sig-context threads fork \
		fork-thread vfork clone spawn exec-thread jit; do
		rewritten $name
	done
fi
