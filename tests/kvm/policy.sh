# Sourced by run: what options and policy files allow, refuse, limit and report.

try=$guest/try
data=$tmp/data
mkdir -p "$data/sub"
echo contents >"$data/file"
echo other >"$data/sub/other"

deny() { # DESCRIPTION: the last run was refused, whatever the errno
	r=$(tail -n 1 "$tmp/p.out")
	case $r in
	'Permission denied' | 'Operation not permitted' | \
		'No such file or directory' | 'Function not implemented' | \
		'Address family not supported by protocol')
		expect "$1" 0
		;;
	*)
		not_ok "$1" "not refused: status $status, ${r:-no output}"
		show stderr "$tmp/p.err"
		;;
	esac
}

p() {
	run p 10 "$dune" "$@"
}

p "$try" read "$data/file"
deny 'reading without --ro'
p --ro "$data" "$try" read "$data/file"
expect '--ro directory' 0 "contents
ok"
p --ro "$data/file" "$try" read "$data/file"
expect '--ro file' 0 "contents
ok"
p --ro "$data/file" "$try" read "$data/sub/other"
deny 'beside the --ro file'
p --ro "$data/sub" "$try" read "$data/sub/../file"
deny 'above the --ro directory by ..'
p --ro "$data" "$try" list "$data"
expect 'listing below --ro' 0 ok
p "$try" list "$data"
deny 'listing without --ro'
p --ro "$data" "$try" write "$data/new"
deny 'writing below --ro'
p --ro "$data" "$try" write "$data/file"
deny 'overwriting below --ro'
p --rw "$data" "$try" write "$data/new"
expect '--rw' 0 ok
[ "$(cat "$data/new")" = written ] && [ "$(cat "$data/file")" = contents ] &&
	ok 'files are what the policy let happen' ||
	not_ok 'files are what the policy let happen'
p --rw "$data" --ro "$data/sub" "$try" write "$data/sub/x"
[ "$(tail -n 1 "$tmp/p.out")" = ok ] && ok '--rw reaches down' ||
	not_ok '--rw reaches down' "$(cat "$tmp/p.out")"
p "$try" read /etc/passwd
deny 'reading /etc/passwd'
p "$try" read /proc/1/environ
deny 'reading /proc/1/environ'
p "$try" list /
deny 'listing /'
p "$try" write /tmp/dune-must-not-be-there
deny 'writing to /tmp'
[ -e /tmp/dune-must-not-be-there ] &&
	not_ok 'nothing came to /tmp' || ok 'nothing came to /tmp'

p "$try" tcp
deny 'network without --net'
ip link set lo up 2>/dev/null
p --net "$try" tcp
expect '--net' 0 ok

p --mem 64M "$try" mem 200000000
[ "$(cat "$tmp/p.out")" = 'Cannot allocate memory' ] || status=1
expect '--mem refuses more' 0
p --mem 512M "$try" mem 200000000
expect '--mem allows less' 0 ok
p --procs 4 "$try" fork 12
n=$(cat "$tmp/p.out")
case $n in 2 | 3 | 4) status=$status ;; *) status="$status, $n children" ;; esac
expect '--procs 4' 0
p "$try" fork 12
expect 'no --procs' 0 12
p --rw "$data" --fsize 10K "$try" append "$data/big" 20000
case $status,$(tail -n 1 "$tmp/p.out") in
'0,File too large' | 153,*) status=limited ;;
esac
expect '--fsize' limited
[ "$(wc -c <"$data/big")" -le 10240 ] && ok '--fsize holds' ||
	not_ok '--fsize holds'

p --deny getppid "$try" call 110
deny '--deny'
p "$try" call 110
expect 'not denied' 0 ok
p --allow getppid --deny getppid "$try" call 110
deny '--deny wins over --allow'

export DUNE_TEST_VAR=outside
p --env DUNE_TEST_VAR=inside "$try" env DUNE_TEST_VAR
expect '--env' 0 inside
unset DUNE_TEST_VAR
p --env DUNE_TEST_VAR=inside "$try" env DUNE_TEST_VAR
expect '--env, new variable' 0 inside
p --ro "$data" --cwd "$data" "$try" cwd
expect '--cwd' 0 "$data"
p --ro "$data" --cwd "$data" "$try" read file
expect 'relative to --cwd' 0 "contents
ok"

exec 7<"$data/file"
p "$try" fd 7
exec 7<&-
[ "$(cat "$tmp/p.out")" = 'Bad file descriptor' ] || status=open
expect 'descriptor 7 is closed' 0
exec 7<"$data/file"
p --fd 7 "$try" fd 7
exec 7<&-
expect '--fd' 0 ok

cat >"$tmp/policy" <<END
# a comment
ro $data

deny getppid
mem 512M
END
p --policy "$tmp/policy" "$try" read "$data/file"
expect '--policy: ro' 0 "contents
ok"
p --policy "$tmp/policy" "$try" call 110
deny '--policy: deny'
echo 'nonsense here' >>"$tmp/policy"
p --policy "$tmp/policy" "$try" call 110
complains '--policy: bad line is named' 125 'policy:6'
p --policy "$tmp/missing" "$try" call 110
complains '--policy: missing file' 125 missing

# Standard input and output are the caller's.
r=$(echo through | timeout 10 "$dune" "$try" cat | cat)
[ "$r" = through ] && ok 'pipes on 0 and 1' || not_ok 'pipes on 0 and 1' "$r"

# What is told. The shape only: numbers differ from run to run.
p --stat "$guest/hello"
for w in calls denied exits write; do
	grep -qw "$w" "$tmp/p.err" || status="no word $w"
done
expect '--stat' 0 hello
p --trace "$guest/hello"
grep -q 'write(1, .*hello' "$tmp/p.err" || status='no write'
expect '--trace' 0 hello
p --trace="$tmp/trace" "$guest/hello"
grep -q 'write(1, ' "$tmp/trace" || status='no write'
[ ! -s "$tmp/p.err" ] || status='words on stderr'
expect '--trace=FILE' 0 hello
p --report "$try" read /etc/passwd
grep -q '/etc/passwd' "$tmp/p.err" || status='path not named'
grep -q 'open' "$tmp/p.err" || status='call not named'
grep -q 'main' "$tmp/p.err" || status='no symbolised stack'
expect '--report' 0
p --report "$guest/die" segv
grep -q 'ended: Segmentation fault' "$tmp/p.err" || status='no report'
grep -q '(main+' "$tmp/p.err" || status='no symbolised stack'
expect '--report of a crash' 139
