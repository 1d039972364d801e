/*
 * Options and messages of the programs in apps/ that host plugins. Options are
 * a table: --help, --version, numbers, and what is said of a wrong command line
 * are alike.
 */
#ifndef APPS_OPTIONS_H
#define APPS_OPTIONS_H

#define APP_NUMBER_MAX	1000000ul

/* One of number, flag and text is set: where it goes. */
struct app_option {
	const char *name;	/* without its dashes; NULL: the table's end */
	char letter;		/* its short form, or 0 */
	unsigned long *number;	/* least to APP_NUMBER_MAX */
	unsigned long least;
	int *flag;		/* becomes 1: takes no argument */
	const char **text;	/* argv's */
};

/*
 * Takes the options and returns the index of the first of `least` to `most`
 * operands. Ends the program after --help and --version, and with the status 2
 * where something is wrong. usage: the whole text for --help, its first line
 * for a wrong command line.
 */
int app_options(int argc, char **argv, const struct app_option *table,
		const char *usage, int least, int most);

/* "PROGRAM: ..." on the standard error, and the line's end. */
void app_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
