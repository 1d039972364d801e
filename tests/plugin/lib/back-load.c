/* A plugin whose constructor calls back. */
int host_add(int a, int b);

static int sum;

__attribute__((constructor)) static void construct(void)
{
	sum = host_add(3, 4);
}

int get_sum(int x) { return sum + x; }
