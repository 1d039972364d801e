/* Once a virtual machine, before the first thread enters. 0 or -errno. */
int dune_attach_tables(void);
