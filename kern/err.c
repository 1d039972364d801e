/* The one error-message call. */
#include "kern/err.h"

#include <stdarg.h>
#include <stdio.h>

static __thread char message[DUNE_ERR_MAX];

int dune_err(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return err;
}

void dune_err_clear(void)
{
	message[0] = '\0';
}

const char *dune_errmsg(void)
{
	return message;
}
