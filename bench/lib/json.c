/* JSON lines: one result each. */
#include "bench/lib/json.h"

void bench_json_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else
			putc(c < ' ' || c > '~' ? '?' : c, f);
	}
	putc('"', f);
}

static void field(FILE *f, const char *name, const char *value)
{
	fprintf(f, "\"%s\": ", name);
	bench_json_string(f, value);
}

void bench_json_line(FILE *f, const struct bench_id *id, const double *samples,
		     size_t n, const char *failed)
{
	putc('{', f);
	field(f, "table", id->table);
	fputs(", ", f);
	field(f, "row", id->row);
	fputs(", ", f);
	field(f, "who", id->who);
	fputs(", ", f);
	field(f, "unit", id->unit);
	fputs(", ", f);
	if (failed) {
		field(f, "failed", failed);
	} else {
		fputs("\"samples\": [", f);
		for (size_t i = 0; i < n; i++)
			fprintf(f, "%s%.6g", i ? ", " : "", samples[i]);
		putc(']', f);
	}
	fputs("}\n", f);
	fflush(f);
}
