# Sourced by run: an ordinary user, many at once, a machine that cannot.

# Runs a shell command where /dev/kvm is open to all, shut, or another file; a
# mount namespace of our own keeps the machine as it is.
elsewhere() { # kvm|shut|null|none COMMAND
	cat >"$tmp/elsewhere" <<-'END'
		mkdir -p "$1/dev"
		mount -t tmpfs -o mode=755 none "$1/dev" || exit 99
		case $2 in
		kvm | shut)
			set -- "$@" $(stat -c '%t %T' /dev/kvm)
			mknod "$1/dev/kvm" c $((0x$4)) $((0x$5))
			case $2 in
			kvm) chmod 666 "$1/dev/kvm" ;;
			shut) chmod 600 "$1/dev/kvm" ;;
			esac
			mount --bind "$1/dev/kvm" /dev/kvm || exit 99
			;;
		null) mount --bind /dev/null /dev/kvm || exit 99 ;;
		none)
			mknod "$1/dev/null" c 1 3
			chmod 666 "$1/dev/null"
			mount --bind "$1/dev" /dev || exit 99
			;;
		esac
		eval "$3"
	END
	run u 60 unshare -m sh "$tmp/elsewhere" "$tmp" "$1" "$2"
}

nobody() { # SHELL COMMAND: as a user without rights
	if setpriv --reuid 65534 --regid 65534 --clear-groups true \
		2>/dev/null; then
		echo "setpriv --reuid 65534 --regid 65534 --clear-groups \
			sh -c '$1'"
	else
		echo "su -s /bin/sh nobody -c '$1'"
	fi
}

chmod 755 "$tmp"
cp "$dune" "$tmp/dune-run"
cp "$guest/hello" "$guest/fork" "$guest/try" "$guest/exec-thread" "$tmp/"
cp "$guest/hello" "$tmp/unreadable"
chmod 711 "$tmp/unreadable"

if [ "$(id -u)" != 0 ]; then
	ok 'as an ordinary user: this whole suite'
elif ! unshare -m true 2>/dev/null; then
	skip 'as an ordinary user' 'no mount namespaces here'
else
	elsewhere kvm "$(nobody "id -u; cd /; exec $tmp/dune-run $tmp/hello")"
	expect 'as an ordinary user' 0 "65534
hello"
	elsewhere kvm "$(nobody "cd /; exec $tmp/dune-run $tmp/fork")"
	"$tmp/fork" >"$tmp/fork.out"
	expect 'as an ordinary user: fork' 0 "$(cat "$tmp/fork.out")"
	elsewhere kvm "$(nobody "cd /; exec $tmp/dune-run $tmp/exec-thread")"
	"$tmp/exec-thread" >"$tmp/exec.out"
	expect 'as an ordinary user: exec' 0 "$(cat "$tmp/exec.out")"
	elsewhere kvm "$(nobody "cd /; exec $tmp/dune-run $tmp/unreadable")"
	case $status in 0) status=126 ;; esac
	[ ! -s "$tmp/u.err" ] || complains 'unreadable program' 126 unreadable
	[ -s "$tmp/u.err" ] || expect 'unreadable program' 126 hello

	elsewhere null "exec $dune $guest/hello"
	complains '/dev/kvm is something else' 125 /dev/kvm
	elsewhere none "exec $dune $guest/hello"
	complains 'no /dev/kvm' 125 /dev/kvm
	elsewhere shut "$(nobody "cd /; exec $tmp/dune-run $tmp/hello")"
	complains '/dev/kvm not permitted' 125 /dev/kvm
fi

# Side by side.
i=0
while [ $i -lt 8 ]; do
	timeout 30 "$dune" "$guest/fork" </dev/null >"$tmp/side.$i" 2>&1 &
	i=$((i + 1))
done
wait
"$guest/fork" >"$tmp/side"
bad=
for f in "$tmp"/side.*; do
	cmp -s "$f" "$tmp/side" || bad=$f
done
if [ -z "$bad" ]; then
	ok '8 runs side by side'
else
	not_ok '8 runs side by side'
	show output "$bad"
fi
