# Sourced by run: the table, name|seconds|options|program|arguments, and for a
# case of the same name (with _ for what is no letter) setup_NAME, which makes
# its input files, and filter_NAME, which removes from its output what differs
# between any two runs.

bin='--ro /usr/bin --ro /bin --ro /usr/sbin'
# Who owns a file: names for numbers.
names='--ro /etc/passwd --ro /etc/group'

small_cases() {
	cat <<-END
		busybox-echo|20||busybox|echo one two
		busybox-script|60|$bin $names|busybox|sh script
		busybox-applets|60|$bin $names|busybox|sh script
		busybox-tar|60|$bin $names|busybox|sh -c 'find tree -exec touch -hd "2020-01-01 00:00:00" {} + && tar cf a.tar tree && mkdir x && tar xf a.tar -C x && sha256sum x/tree/* && rm -r x'
		coreutils|60|$bin $names|bash|script
		cat|20||cat|data
		sort-small|30||sort|data
		ls|20|$names|ls|-laR --time-style=+x .
		cp|20||cp|-a tree copy
		false|20||false|
		missing|20||cat|no-such-file
		bash|60|$bin|bash|script
		sh|60|$bin|sh|script
		find|30||find|. -name '*5*' -newer data -o -size +1k -printf '%p %s\n'
		grep|30||grep|-rn '[13]7' .
		sed|30||sed|-e 's/1/one/g;10q' data
		awk|30||gawk|'{ s += \$1; n[length] ++ } END { print s; for (i = 0; i < 9; i++) print n[i] }' data
		gzip|30||gzip|-9k data
		perl-small|60||perl|-e 'print join(" ", map { \$_ * 2 } grep { \$_ % 3 } 1 .. 50), "\n"; exit 3'
		python3-small|90|--ro /usr/bin|python3|-c 'import sys, os, json; print(json.dumps({"a": [1, 2.5, None]}), sys.version_info[:2], os.getcwd()); sys.exit(5)'
	END
}

numbers() {
	seq 1 3000 | sed 's/.*/& the quick brown fox &/' >data
	mkdir -p tree/sub
	for i in 1 2 3 4 5; do
		seq $i 700 >tree/f$i
		seq $i 35 >tree/sub/f$i
	done
	ln -s f1 tree/link
	find . -exec touch -h -d '2020-02-02 10:10:10' {} +
}
setup_busybox_tar() { numbers; }
setup_cat() { numbers; }
setup_sort_small() { numbers; }
setup_ls() { numbers; }
setup_cp() { numbers; }
setup_find() { numbers; }
setup_grep() { numbers; }
setup_sed() { numbers; }
setup_awk() { seq 1 5000 >data; }
setup_gzip() { numbers; }
filter_ls() { sed 's/^total .*/total/'; }
filter_find() { sort; }
filter_grep() { sort; }

# Pipes, traps, jobs, substitution, here-documents, tests of files.
shell_script() {
	cat >script <<-'END'
		trap 'echo trapped USR1' USR1
		trap 'echo bye' EXIT
		kill -USR1 $$
		echo one two three | tr a-z A-Z | sed 's/TWO/2/'
		x=$(echo sub; (exit 3)); echo "$x $?"
		for i in 1 2 3; do (sleep 0.0$i; echo job $i >job$i) & done
		wait
		cat job1 job2 job3
		false | true; echo "pipe $?"
		sh -c 'exit 7'; echo "child $?"
		sh -c 'kill -9 $$' 2>/dev/null; echo "killed $?"
		# not before it is a program: a subshell might run the trap
		sh -c 'echo >up; exec sleep 5' & pid=$!
		until [ -s up ]; do sleep 0.01; done
		kill $pid; wait $pid; echo "wait $?"
		while read -r a b; do echo "$b $a"; done <<-X
			first second
			third fourth
		X
		i=0
		while [ $i -lt 200 ]; do i=$((i + 1)); done; echo $i
		[ -f script ] && [ ! -e none ] && [ -d . ] && echo files
		umask 022; echo text >new; chmod 600 new; ls -l new | cut -c 1-10
		set -- a b c; shift; echo $# $*
		no-such-command 2>/dev/null; echo "missing $?"
		echo err >&2
		exit 9
	END
}
setup_busybox_script() { shell_script; }
setup_bash() {
	shell_script
	sed -i '$d' script
	cat >>script <<-'END'
		diff <(seq 1 5) <(seq 2 6)
		coproc { while read -r l; do echo "got $l"; done; }
		echo hello >&${COPROC[1]}; read -r l <&${COPROC[0]}; echo "$l"
		declare -A m=([x]=1 [y]=2); echo ${#m[@]}
		time -p true 2>/dev/null; printf '%(%Y)T\n' 0
		exit 4
	END
}
setup_sh() { shell_script; }

setup_busybox_applets() {
	numbers
	cat >script <<-'END'
		md5sum data; sha1sum tree/*; wc data; sort -rn data | head -3
		grep -c 9 data; cut -d ' ' -f 2-4 data | uniq -c; od -c data | tail -2
		gzip -c data | gunzip | cmp - data && echo same
		find tree | sort; xargs -n 2 echo <tree/sub/f1 | tail -3
		awk '{ s += $1 } END { print s }' data; expr 6 '*' 7; dd if=data bs=1k count=2 2>/dev/null | cksum
		stat -c '%n %s %a' data; df . >/dev/null && echo df; date -d @0; env -i A=1 env
		mkfifo p; cat p & echo through >p; wait; rm p
		busybox | head -1 | cut -d ' ' -f 1; ps >/dev/null; uname; vi --help 2>/dev/null; nproc >/dev/null && echo nproc
	END
}

setup_coreutils() {
	numbers
	cat >script <<-'END'
		export PATH=/usr/bin:/bin
		b64=$(head -c 300 data | base64 -w 0); echo $b64 | base64 -d | b2sum
		basename /a/b.c .c; dirname /a/b; cksum data; comm -12 <(sort tree/f1) <(sort tree/f3) | wc -l
		cp -r tree t2; csplit -s data 100 200; cut -c 1-5 xx00 | head -2; date -u -d @86400 +%F
		dd if=data of=d2 bs=512 count=3 status=none; expand data | fold -w 20 | head -3; factor 1234567890
		fmt -w 30 data | head -2; head -c 10 data; id -u; install -m 700 data inst; stat -c %a inst
		join tree/f1 tree/f2 2>/dev/null | tail -1; ln -s data l; readlink -f l | xargs basename; md5sum data
		mkdir -p q/r/s; mktemp -u XXX >/dev/null; mv t2 t3; nl data | tail -1; numfmt --to=iec 123456789
		od -A x -t x1z data | tail -2; paste -s -d + tree/sub/f5 | cut -c 1-30; pr -l 20 data | wc -l; printf '%05.1f %q\n' 3.14159 'a b'
		ptx </dev/null; seq 1 2 9 | tac; sha512sum data; shred -n 1 d2; shuf -n 3 --random-source=data data | wc -l
		sort -k 1,1nr data | head -2; split -l 1000 data part.; ls part.*; sum data; stat -c '%n %s' tree/*
		tail -n 2 data; echo x | tee t.out; test -s data && echo size; timeout 0.2 sleep 5; echo $?
		touch -d '2001-01-01' old; truncate -s 100 tr; tr 0-9 a-j <data | tail -1; tsort <<<'a b b c'; unexpand -a data | wc -c
		uniq -c tree/f1 | tail -1; wc -lwc data; yes | head -2; nproc >/dev/null; pwd | xargs basename; link data hard; unlink hard
		rm -r q t3 d2; [ -e q ]; echo $?; nice -n 5 nice >/dev/null; env -u HOME A=1 printenv A; arch; sleep 0.1; sync data
		kill -l 9; mkfifo f; (cat f &); echo fifo >f; chmod u=rw,go= data; stat -c %A data; realpath --relative-to=/usr /usr/bin; rm f
	END
}

full_cases() {
	cat <<-END
		dash|30|$bin|dash|script
		mawk|30||mawk|'{ n[\$1 % 7] += \$1 } END { for (i = 0; i < 7; i++) print i, n[i] }' data
		sort-200M|100||sort|-S 600M -T . -o sorted --parallel=2 data
		tar|40|$bin $names|tar|czf a.tgz --sort=name --mtime=@0 tree
		tar-x|40|$bin $names|tar|xzf in.tgz
		xz|60||xz|-T2 -k --block-size=1MiB data
		zstd|40||zstd|-q -T2 -9 data -o data.zst
		git|60|$bin $names --ro /usr/share/git-core --ro /usr/lib/git-core|bash|script
		perl|60|--ro /usr/share/perl --ro /etc/perl $bin|perl|script
		python3|60|$bin --ro /usr/share/python3 --rw /dev/shm|python3|script
		python3-sqlite3|60|$bin|python3|script
		lua|30||lua5.4|script
		sqlite3|60||sqlite3|-batch db ".read script"
		openssl-enc|40|--ro /etc/ssl|openssl|enc -aes-256-ctr -pbkdf2 -iter 1000 -S 0102030405060708 -pass pass:x -in data -out data.enc
		openssl-speed|40|--ro /etc/ssl|openssl|speed -seconds 1 -bytes 1024 sha256
		jq|30||jq|-c '[.[] | select(.n % 3 == 0) | {k: .s, v: (.n * 2)}] | length, .[5]' data
		gcc|90|$bin --ro /usr/include --ro /usr/lib --rw /tmp|bash|script
		make|60|$bin|make|-j2 -s
		node|60|--ro /usr/share/nodejs --ro /usr/share/node_modules --ro /etc/ssl|node|script
		redis|60|--net $bin --ro /etc --rw /tmp|bash|script
		lighttpd|60|--net $bin --ro /etc --ro /usr/share|bash|script
		nginx|60|--net $bin --ro /etc --ro /usr/share --rw /var/lib/nginx|bash|script
		memcached|40|--net $bin --ro /etc|bash|script
		curl|40|--net $bin --ro /etc|bash|script
	END
	for m in $python_modules; do
		echo "python-test-$m|150|--net --rw /tmp --rw /dev/shm --rw /dev/ptmx --rw /dev/pts --ro /usr --ro /etc --ro $dir|python3|\"$dir/pytest.py\" $m"
	done
}

setup_dash() { shell_script; }
setup_mawk() { seq 1 20000 >data; }
setup_sort_200M() {
	awk 'BEGIN { s = 1; for (i = 0; i < 5000000; i++) {
		s = (s * 1103515245 + 12345) % 2147483648;
		printf "%010d %028d\n", s, i } }' >data
}
setup_tar() { numbers; }
setup_tar_x() {
	numbers
	tar czf in.tgz tree
	rm -r tree
}
setup_xz() { seq 1 900000 >data; }
setup_zstd() { seq 1 900000 >data; }
setup_openssl_enc() { seq 1 500000 >data; }
# Speeds are what they are; that a line came is the result.
filter_openssl_speed() { grep -c '^sha256'; }
setup_jq() {
	awk 'BEGIN { print "["; for (i = 0; i < 5000; i++)
		printf "%s{\"n\": %d, \"s\": \"item %d\"}\n", i ? "," : "", i, i
		print "]" }' >data
}

setup_git() {
	cat >script <<-'END'
		set -e
		export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
		export GIT_CONFIG_GLOBAL=$PWD/config GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
		git config --global user.name Dune; git config --global user.email dune@example.org
		git config --global init.defaultBranch main; git config --global gc.auto 0
		git init -q repo; cd repo
		for i in 1 2 3 4 5; do seq $i 200 >f$i; git add f$i; git commit -q -m "commit $i"; done
		git checkout -q -b side HEAD~2; echo side >side; git add side; git commit -q -m side
		git checkout -q main; git merge -q -m merge side
		git log --format='%h %s %an'; git diff --stat HEAD~1; git status --short; git gc -q
		cd ..; git clone -q repo copy; cd copy; git log --oneline | wc -l; git fsck 2>/dev/null
		cd ..; sort repo/.git/packed-refs; rm -rf repo/.git copy/.git
	END
}

setup_perl() {
	cat >script <<-'END'
		use strict; use warnings; use POSIX ':sys_wait_h'; use Socket; use IO::Handle; use File::Temp 'tempfile';
		my %h; $h{$_ % 17} .= $_ for 1 .. 2000; print scalar(keys %h), " ", length(join '', sort values %h), "\n";
		$SIG{USR1} = sub { print "usr1\n" }; kill USR1 => $$;
		my $pid = fork // die; exit 11 if !$pid; waitpid $pid, 0; print $? >> 8, "\n";
		print `echo from a shell`; system "exit 3"; print $? >> 8, "\n";
		socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; $a->autoflush; print $a "line\n"; print scalar <$b>;
		eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; select undef, undef, undef, 5 }; print $@;
		open my $f, '>', 'out' or die; print $f "x" x 10000; close $f; print -s 'out', "\n";
		printf "%s %.3f\n", strftime('%F', gmtime 0), exp 1; exit 6;
	END
}

setup_python3() {
	cat >script <<-'END'
		import asyncio, hashlib, multiprocessing, os, queue, re, signal, subprocess, sys, tempfile, threading, zlib
		print(subprocess.run(['echo', 'hello'], capture_output=True).stdout)
		try:
		    subprocess.run(['/no/such'])
		except FileNotFoundError as e:
		    print(e.errno)
		q = queue.Queue()
		ts = [threading.Thread(target=lambda i=i: q.put(i * i)) for i in range(20)]
		[t.start() for t in ts]; [t.join() for t in ts]
		print(sum(q.get() for _ in ts))
		def f(x): return x * 3
		if __name__ == '__main__':
		    with multiprocessing.Pool(2) as p:
		        print(p.map(f, range(10)))
		async def main():
		    p = await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1)
		    out, _ = await p.communicate(b'async'); print(out)
		    print(await asyncio.gather(*(asyncio.sleep(0.01, i) for i in range(5))))
		asyncio.run(main())
		signal.signal(signal.SIGALRM, lambda s, f: print('alarm')); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
		print(hashlib.sha256(zlib.compress(b'a' * 100000)).hexdigest()[:16])
		with tempfile.TemporaryDirectory(dir='.') as d: print(len(os.listdir(d)))
		pid = os.fork()
		if pid == 0: os._exit(3)
		print(os.waitpid(pid, 0)[1] >> 8, re.sub(r'(\d+)', r'<\1>', 'a1b22'))
		sys.exit(8)
	END
}

setup_lua() {
	cat >script <<-'END'
		local t = {} for i = 1, 20000 do t[#t + 1] = (i * 7919) % 10007 end
		table.sort(t) print(t[1], t[#t], #t)
		local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
		print(co(), co(), co())
		local f = io.open("out", "w") f:write(("x"):rep(1000)) f:close()
		print(string.format("%5.2f", math.pi), os.getenv("TZ"), pcall(error, "e"))
		for l in io.lines("out") do print(#l) end os.exit(2)
	END
}

setup_sqlite3() {
	cat >script <<-'END'
		PRAGMA journal_mode=WAL;
		CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, 'row ' || i, i / 3.0 FROM n;
		CREATE INDEX ix ON t(b);
		BEGIN; UPDATE t SET c = c + 1 WHERE a % 3 = 0; COMMIT;
		BEGIN; DELETE FROM t; ROLLBACK;
		SELECT count(*), sum(a), round(sum(c), 2) FROM t; SELECT * FROM t WHERE b LIKE '%999' ORDER BY a LIMIT 3;
		PRAGMA integrity_check; PRAGMA wal_checkpoint(TRUNCATE); VACUUM;
	END
}

setup_gcc() {
	cat >prog.c <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		static int cmp(const void *a, const void *b) { return strcmp(a, b); }
		int main(int argc, char **argv)
		{
			char w[64][8];
			for (int i = 0; i < 64; i++) snprintf(w[i], 8, "%d", i * 37 % 64);
			qsort(w, 64, 8, cmp);
			for (int i = 0; i < 64; i += 9) printf("%s ", w[i]);
			puts(argc > 1 ? argv[1] : "");
			return 21;
		}
	END
	echo 'gcc -O2 -Wall -o prog prog.c && ./prog word; echo $?; gcc -c nonsense.c 2>/dev/null; echo $?; rm -f prog' >script
}

setup_make() {
	cat >Makefile <<-'END'
		all: a b c; @cat a b c
		a: ; @echo a > $@
		b: a ; @sleep 0.1; tr a b < a > $@
		c: a ; @printf 'c\n' > $@; test -s c
		.PHONY: all
	END
}

setup_node() {
	cat >script <<-'END'
		const { execFileSync, spawn } = require('child_process'), fs = require('fs'), crypto = require('crypto');
		console.log([3, 1, 2].sort(), process.argv.length, crypto.createHash('sha256').update('x').digest('hex').slice(0, 16));
		fs.writeFileSync('out', 'y'.repeat(5000)); console.log(fs.statSync('out').size);
		const { Worker, isMainThread } = require('worker_threads');
		new Worker('require("worker_threads").parentPort.postMessage(42)', { eval: true }).on('message', m => console.log('worker', m));
		fs.readFile('out', (e, d) => console.log('read', d.length)); setTimeout(() => console.log('timer'), 300);
		process.on('exit', () => { process.exitCode = 13 });
	END
}
filter_node() { sort; }

# Servers: a script starts one on a free port, drives it and prints what came.
port() {
	echo $((20000 + $$ % 10000 + $1))
}

setup_redis() {
	cat >script <<-END
		p=$(port 1); export PATH=/usr/bin:/bin
		redis-server --port \$p --bind 127.0.0.1 --save '' --dir . --daemonize no --logfile log & s=\$!
		for i in \$(seq 100); do redis-cli -p \$p ping >/dev/null 2>&1 && break; sleep 0.1; done
		redis-benchmark -p \$p -n 1000 -c 5 -t set,get,lpush,incr --csv -q | cut -d , -f 1
		redis-cli -p \$p set key value; redis-cli -p \$p get key; redis-cli -p \$p bgsave
		for i in \$(seq 100); do redis-cli -p \$p info persistence | grep -q 'rdb_bgsave_in_progress:0' && break; sleep 0.1; done
		redis-cli -p \$p info persistence | grep -o 'rdb_last_bgsave_status:ok'; test -s dump.rdb && echo saved
		redis-cli -p \$p shutdown nosave; wait \$s; echo \$?; rm -f dump.rdb log
	END
}

web() { # clients of a server on \$p whose pid is \$s
	cat <<-'END'
		for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:$p/ && break; sleep 0.1; done
		curl -s http://127.0.0.1:$p/page | md5sum; curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:$p/none
		ab -q -n 300 -c 4 http://127.0.0.1:$p/page | grep -E '^(Complete|Failed) requests'
		kill $s; wait $s; echo $?
	END
}

setup_lighttpd() {
	mkdir www
	seq 1 5000 >www/page
	cat >conf <<-END
		server.document-root = var.CWD + "/www"
		server.port = $(port 2)
		server.bind = "127.0.0.1"
	END
	{
		echo "p=$(port 2); lighttpd -D -f conf 2>/dev/null & s=\$!"
		web
	} >script
}

setup_nginx() {
	mkdir www logs
	seq 1 5000 >www/page
	cat >conf <<-END
		user root; daemon off; master_process on; worker_processes 2; pid logs/pid; error_log logs/error;
		events { worker_connections 64; }
		http { access_log off; client_body_temp_path logs; proxy_temp_path logs; fastcgi_temp_path logs;
			uwsgi_temp_path logs; scgi_temp_path logs;
			server { listen 127.0.0.1:$(port 3); root www; } }
	END
	{
		echo "p=$(port 3); nginx -p \$PWD -c conf -e logs/error & s=\$!"
		web
		echo 'rm -rf logs'
	} >script
}

setup_memcached() {
	cat >script <<-END
		p=$(port 4); memcached -u root -l 127.0.0.1 -p \$p -m 32 -t 2 & s=\$!
		sleep 0.5; exec 3<>/dev/tcp/127.0.0.1/\$p
		printf 'set k 0 0 5\r\nvalue\r\nget k\r\nincr none 1\r\nquit\r\n' >&3; cat <&3
		kill \$s; wait \$s; echo \$?
	END
}

setup_curl() {
	seq 1 20000 >page
	cat >script <<-END
		p=$(port 5); python3=/usr/bin/python3; [ -x \$python3 ] || exit 0
		\$python3 -m http.server \$p --bind 127.0.0.1 >/dev/null 2>&1 & s=\$!
		for i in \$(seq 100); do curl -s -o /dev/null http://127.0.0.1:\$p/ && break; sleep 0.1; done
		curl -s http://127.0.0.1:\$p/page | sha256sum; curl -s -r 100-199 -o part http://127.0.0.1:\$p/page; wc -c <part
		curl -s -o a http://127.0.0.1:\$p/page -o b http://127.0.0.1:\$p/page; cmp a b; curl -s http://127.0.0.1:1/; echo \$?
		curl -s file://\$PWD/page | tail -1; kill \$s; wait \$s; echo \$?
	END
}

# Debian's package of the Python library's tests has none for sqlite3.
setup_python3_sqlite3() {
	cat >script <<-'END'
		import sqlite3, threading
		c = sqlite3.connect('db', timeout=20); c.execute('PRAGMA journal_mode=WAL')
		c.execute('CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT)'); c.commit()
		def add(k):
		    d = sqlite3.connect('db', timeout=20)
		    for i in range(50):
		        with d: d.execute('INSERT INTO t(v) VALUES (?)', ('%d-%d' % (k, i),))
		    d.close()
		ts = [threading.Thread(target=add, args=(k,)) for k in range(3)]
		[t.start() for t in ts]; [t.join() for t in ts]
		print(c.execute('SELECT count(*), count(DISTINCT v) FROM t').fetchone())
		try:
		    with c: c.execute('DELETE FROM t'); 1 / 0
		except ZeroDivisionError: pass
		print(c.execute('SELECT count(*) FROM t').fetchone())
		c.create_function('twice', 1, lambda x: x * 2)
		print(c.execute('SELECT twice(21)').fetchone(), c.execute('PRAGMA integrity_check').fetchone())
		m = sqlite3.connect(':memory:'); c.backup(m); print(m.total_changes >= 0, len(list(m.iterdump())))
		c.execute('PRAGMA wal_checkpoint(TRUNCATE)'); c.close(); import os; os.remove('db')
	END
}

# The Python library's own tests, whose results must be the native ones.
python_modules='os subprocess threading signal mmap socket asyncio'
