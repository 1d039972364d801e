# A build for bench/tables.py: eleven files of this repository, as its own
# Makefile would compile them. B is the directory of the objects.
SRC := $(sort $(wildcard kern/mm/*.c))

all: $(SRC:%.c=$(B)/%.o)
$(B)/%.o: %.c
	mkdir -p $(@D)
	gcc -std=gnu11 -O2 -g -I. -Ilibdune/include -D_GNU_SOURCE -c -o $@ $<
