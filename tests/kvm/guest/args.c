/*
 * The first stack: arguments, environment and the auxiliary vector are what
 * execve(2) promises, whatever the program is called with.
 */
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include "guest.h"

extern char **environ;
extern char __executable_start, _end;

static bool in_image(unsigned long a)
{
	return a >= (unsigned long)&__executable_start &&
	       a < (unsigned long)&_end;
}

int main(int argc, char **argv)
{
	unsigned int n = 0;
	const char *execfn, *random;
	const Elf64_Ehdr *eh = (const void *)&__executable_start;

	for (int i = 1; i < argc; i++)
		say("argv[%d] = '%s'\n", i, argv[i]);
	CHECK(argv[argc] == NULL);
	CHECK(environ == argv + argc + 1);
	/* The strings lie one after the other. */
	for (int i = 1; i < argc; i++)
		CHECK(argv[i] == argv[i - 1] + strlen(argv[i - 1]) + 1);
	CHECK(!environ[0] ||
	      environ[0] == argv[argc - 1] + strlen(argv[argc - 1]) + 1);
	say("VAR = %s\n", getenv("VAR") ? getenv("VAR") : "(none)");

	CHECK(getauxval(AT_PAGESZ) == PAGE);
	CHECK(getauxval(AT_CLKTCK) == 100);
	CHECK(getauxval(AT_SECURE) == 0);
	CHECK(getauxval(AT_UID) == getuid());
	CHECK(getauxval(AT_EGID) == getegid());
	CHECK(getauxval(AT_BASE) == 0);		/* static: no interpreter */
	CHECK(getauxval(AT_ENTRY) == eh->e_entry);
	CHECK(getauxval(AT_PHNUM) == eh->e_phnum);
	CHECK(getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
	CHECK(in_image(getauxval(AT_PHDR)));
	CHECK(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
	execfn = (char *)getauxval(AT_EXECFN);
	CHECK(strcmp(strrchr(execfn, '/') + 1, "args") == 0);
	random = (char *)getauxval(AT_RANDOM);
	for (int i = 0; i < 16; i++)
		n += random[i] != 0;
	CHECK(n > 4);
	/* The psABI's alignment shows in where argc lies. */
	CHECK(((unsigned long)(argv - 1) & 15) == 0);
	say("auxv right\n");
	return argc > 1 && strcmp(argv[1], "fail") == 0 ? 42 : 0;
}
