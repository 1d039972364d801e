# Sourced by run: programs that are none. One line names the object, the status
# says which kind of failure; never a crash, never a hang.

# Prints numbers as little-endian bytes: le SIZE NUMBER...
le() {
	size=$1
	shift
	for v; do
		i=0
		while [ $i -lt "$size" ]; do
			printf "\\$(printf %03o $((v & 255)))"
			v=$((v >> 8)) i=$((i + 1))
		done
	done
}

# An ELF header: class type machine entry phoff phentsize phnum.
ehdr() {
	printf "\\177ELF\\00$1\\001\\001"
	le 1 0 0 0 0 0 0 0 0 0
	le 2 "$2" "$3"
	le 4 1
	le 8 "$4" "$5" 0
	le 4 0
	le 2 64 "$6" "$7" 64 0 0
}

# A program header: type flags offset vaddr filesz memsz align.
phdr() {
	le 4 "$1" "$2"
	le 8 "$3" "$4" "$4" "$5" "$6" "$7"
}

x=$tmp/x
mkdir "$x"
: >"$x/empty"
echo 'just text' >"$x/text"
head -c 40 "$guest/hello" >"$x/short-header"
head -c 100 "$guest/hello" >"$x/short-table"
head -c 9000 "$guest/hello" >"$x/short-file"
echo '#!/does/not/exist' >"$x/lost-script"
echo '#!' >"$x/no-interpreter-named"
i=0
while [ $i -lt 300 ]; do
	printf '#!/aaaaaaaaaaaaaaa'
	i=$((i + 1))
done >"$x/long-script"
printf '#!%s\n' "$x/loop-script" >"$x/loop-script"
{ ehdr 1 2 3 4198400 64 56 1; phdr 1 5 0 4194304 120 120 4096; } >"$x/class32"
{ ehdr 2 2 183 4198400 64 56 1; phdr 1 5 0 4194304 120 120 4096; } >"$x/aarch64"
{ ehdr 2 1 62 4198400 64 56 1; phdr 1 5 0 4194304 120 120 4096; } >"$x/object"
{ ehdr 2 2 62 4198400 64 56 0; } >"$x/no-segments"
{ ehdr 2 2 62 4198400 64 56 65535; phdr 1 5 0 4194304 120 120 4096; } \
	>"$x/many-segments"
{ ehdr 2 2 62 4198400 64 1 1; phdr 1 5 0 4194304 120 120 4096; } \
	>"$x/phentsize"
{ ehdr 2 2 62 4198400 -64 56 1; phdr 1 5 0 4194304 120 120 4096; } \
	>"$x/phoff-wraps"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 0 -4096 8192 8192 4096; } \
	>"$x/vaddr-wraps"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 0 4194304 120 $((1 << 62)) 4096; } \
	>"$x/huge-memsz"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 0 4194304 4096 16 4096; } \
	>"$x/filesz-over-memsz"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 5 4194304 120 120 4096; } \
	>"$x/unaligned"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 0 $((1 << 47)) 120 120 4096; } \
	>"$x/kernel-half"
{ ehdr 2 2 62 4194424 64 56 1; phdr 1 5 0 $((0x5ffffffff000)) 120 120 4096; } \
	>"$x/monitor-half"
{
	ehdr 2 3 62 176 64 56 2
	phdr 3 4 176 176 17 17 1
	phdr 1 5 0 0 256 256 4096
	printf '/no/such/ld.so.1\000'
	le 8 0 0 0 0 0 0 0 0
} >"$x/lost-interpreter"
{
	ehdr 2 3 62 176 64 56 2
	phdr 3 4 176 176 $((1 << 40)) 17 1
	phdr 1 5 0 0 256 256 4096
	le 8 0 0 0 0 0 0 0 0 0 0
} >"$x/huge-interpreter"
chmod 755 "$x"/*
cp "$guest/hello" "$x/mode644"
chmod 644 "$x/mode644"
mkdir "$x/directory"

for f in "$x"/*; do
	name=${f##*/}
	run x 10 "$dune" --ro "$x" "$f"
	case $name,$status in
	# Where the file itself is there, but what it needs is not, shells
	# disagree on the number.
	lost-*,127) status=126 ;;
	# Linux runs a file that ends early, until it touches what is missing.
	short-file,135 | short-file,139) status=126 ;;
	esac
	case $name in
	short-file) expect "input $name" 126 ;;
	lost-script) complains "input $name" 126 /does/not/exist ;;
	lost-interpreter) complains "input $name" 126 /no/such/ld.so ;;
	*) complains "input $name" 126 "$name" ;;
	esac
done
run x 10 "$dune" "$x/missing"
complains 'input missing' 127 missing
run x 10 "$dune" no-such-program-in-path
complains 'input not in PATH' 127 no-such-program
run x 10 env PATH="$x:/nowhere" "$dune" mode644
complains 'input in PATH, not executable' 126 "$x/mode644"
run x 10 "$dune" -vx "$guest/hello"
complains 'input: an unknown letter among others' 125 '-x:'
run x 10 "$dune" -xv "$guest/hello"
complains 'input: an unknown letter before others' 125 '-x:'
run x 10 "$dune" "$guest/hello/x"
case $status in 126 | 127) status=126 ;; esac
complains 'input below a file' 126 hello/x
run x 10 env PATH="$guest:/nowhere" "$dune" hello
expect 'found in PATH' 0 hello
run x 10 "$dune" --ro "$x" --cwd "$guest" ./hello
expect 'by a relative name after --cwd' 0 hello
mkfifo "$tmp/fifo" && chmod 755 "$tmp/fifo"
run x 10 "$dune" "$tmp/fifo"
complains 'input fifo' 126 fifo
