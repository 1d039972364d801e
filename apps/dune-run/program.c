/* Which file the program is, its environment, and what it needs to read. */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/elf/image.h"
#include "kern/err.h"

/* As execvp(3) without PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"
#define HEAD_SIZE 4096
/* #! lines after each other: as many as Linux follows. */
#define MAX_SCRIPTS 5

static size_t name_len(const char *var)
{
	return strcspn(var, "=");
}

/* Where `var` is or shall be in env[0..n). */
static size_t find_var(char **env, size_t n, const char *var)
{
	size_t len = name_len(var), i;

	for (i = 0; i < n; i++)
		if (name_len(env[i]) == len && !strncmp(env[i], var, len))
			break;
	return i;
}

char **dune_environment(const struct dune_policy *p, char *const *inherited)
{
	size_t n = 0, i;
	char **env;

	while (inherited[n])
		n++;
	env = calloc(n + p->envs + 1, sizeof(*env));
	if (!env)
		return NULL;
	if (p->clearenv)
		n = 0;
	memcpy(env, inherited, n * sizeof(*env));
	for (i = 0; i < p->envs; i++) {
		const char *var = dune_policy_string(p, p->env[i]);
		char *const *old;
		size_t at;

		if (!strchr(var, '=')) {
			/* passed on: is it there to pass? */
			for (old = inherited; *old; old++)
				if (name_len(*old) == strlen(var) &&
				    !strncmp(*old, var, strlen(var)))
					break;
			if (!*old)
				continue;
			var = *old;
		}
		at = find_var(env, n, var);
		env[at] = (char *)var;
		if (at == n)
			n++;
	}
	return env;
}

/* 0, or why execve(2) would not take this file. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? -errno : 0;
}

static const char *get_path(char *const *envp)
{
	for (; *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return DEFAULT_PATH;
}

static int search(const char *name, const char *dirs, char path[PATH_MAX])
{
	char refused[PATH_MAX];
	int result = -ENOENT;

	for (;; dirs++) {
		size_t len = strcspn(dirs, ":");
		int n = len ? snprintf(path, PATH_MAX, "%.*s/%s", (int)len,
				       dirs, name)
			    : snprintf(path, PATH_MAX, "./%s", name);
		int err = n < PATH_MAX ? executable(path) : -ENAMETOOLONG;

		if (!err)
			return 0;
		/* the search goes on, but this is what it will have found */
		if (err == -EACCES && result != err) {
			result = err;
			strcpy(refused, path);
		}
		dirs += len;
		if (*dirs)
			continue;
		if (result == -EACCES)
			strcpy(path, refused);
		return result;
	}
}

int dune_find_program(const char *name, char *const *envp,
		      char path[PATH_MAX])
{
	struct stat st;
	int err;

	if (!strchr(name, '/')) {
		err = *name ? search(name, get_path(envp), path) : -ENOENT;
		if (err == -ENOENT)
			return dune_err(err, "%s: not found in PATH; give "
					"the path of a program", name);
	} else {
		if (strlen(name) >= PATH_MAX)
			return dune_err(-ENAMETOOLONG, "%.64s...: name too "
					"long; no file has such a name", name);
		strcpy(path, name);
		err = executable(path);
	}
	if (!err)
		return 0;
	if (err == -EACCES && stat(path, &st))
		return dune_err(err, "%s: %s; a directory above it may not be "
				"searched", path, strerror(errno));
	if (err == -EACCES && S_ISDIR(st.st_mode))
		return dune_err(err, "%s: is a directory; name a program in "
				"it", path);
	if (err == -EACCES)
		return dune_err(err, "%s: cannot be executed; chmod +x it if "
				"it is a program", path);
	return dune_err(err, "%s: %s; give the path of a program", path,
			strerror(-err));
}

int dune_start_status(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return DUNE_EXIT_NOTFOUND;
	case EACCES:
	case ENOEXEC:
	case ELIBBAD:
	case ELOOP:
	case EINVAL:		/* its headers: the loader says which */
	case EISDIR:
	case ETXTBSY:
		return DUNE_EXIT_NOEXEC;
	}
	return DUNE_EXIT_OURS;
}

static long read_at(void *fd, void *buf, size_t len, uint64_t off)
{
	ssize_t n = pread(*(int *)fd, buf, len, off);

	return n < 0 ? -errno : n;
}

enum dune_file dune_interpreter(const char *path, char interp[PATH_MAX],
				char arg[PATH_MAX])
{
	static struct dune_image img;
	enum dune_file kind = DUNE_OTHER;
	char head[HEAD_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	*interp = *arg = '\0';
	if (fd < 0)
		return kind;
	n = pread(fd, head, sizeof(head), 0);
	if (n > 0 && dune_script_parse(head, n, interp, PATH_MAX, arg,
				       PATH_MAX) > 0) {
		kind = DUNE_SCRIPT;
	} else {
		*interp = *arg = '\0';
		if (n > 0 && fstat(fd, &st) == 0 &&
		    dune_image_parse(&img, head, n, st.st_size, read_at,
				     &fd) == 0) {
			strcpy(interp, img.interp);
			kind = DUNE_ELF;
		}
	}
	close(fd);
	return kind;
}

int dune_program_rules(struct dune_policy *p, const char *path,
		       char *const *envp)
{
	char file[PATH_MAX], interp[PATH_MAX], arg[PATH_MAX];
	const char *base;
	int err = dune_policy_add_path(p, path, false);

	strcpy(file, path);
	for (int i = 0; !err && i < MAX_SCRIPTS; i++) {
		dune_interpreter(file, interp, arg);
		if (!*interp || access(interp, F_OK))
			return 0;
		err = dune_policy_add_path(p, interp, false);
		base = strrchr(interp, '/');
		strcpy(file, interp);
		/* "#! /usr/bin/env python3": env is not all it needs */
		if (err || !base || strcmp(base, "/env") != 0 || !*arg)
			continue;
		if (dune_find_program(arg, envp, file))
			return 0;
		err = dune_policy_add_path(p, file, false);
	}
	return err;
}
