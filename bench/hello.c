/* The smallest useful program: what starting anything costs at least. */
#include <stdio.h>

int main(void)
{
	return puts("hello") < 0;
}
