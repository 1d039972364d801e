/*
 * Calls and callbacks with types, from prototypes: included by dune/sandbox.h.
 *
 * DUNE_PLUGIN_CALL(name, ret, types...) makes a function
 *
 *	int name(const struct dune_function *f, ret *result, types...)
 *
 * and DUNE_PLUGIN_VOID(name, types...) one without result. Types: integers,
 * enums, bool, float, double, and dune_addr for every pointer of the plugin's;
 * anything else, as a host pointer, does not compile. At most ten.
 *
 * DUNE_HOST_CALLBACK(variable, symbol, fn, ret, types...) makes a struct
 * dune_callback for the host function
 *
 *	int fn(struct dune_sandbox *box, void *ctx, ret *result, types...)
 *
 * and DUNE_HOST_CALLBACK_VOID(variable, symbol, fn, types...) the same for
 * one without result.
 */
#ifndef DUNE_SANDBOX_MACROS_H
#define DUNE_SANDBOX_MACROS_H

#include "dune/sandbox.h"

#ifndef __cplusplus
#define DUNE_VALUE(x) _Generic((x), \
	_Bool: dune_int, char: dune_int, signed char: dune_int, \
	unsigned char: dune_int, short: dune_int, unsigned short: dune_int, \
	int: dune_int, unsigned int: dune_int, long: dune_int, \
	unsigned long: dune_int, long long: dune_int, \
	unsigned long long: dune_int, float: dune_float, \
	double: dune_double, dune_addr: dune_address)(x)

#define DUNE_TYPE_OF(T) _Generic((T *)0, \
	_Bool *: DUNE_INT, char *: DUNE_INT, signed char *: DUNE_INT, \
	unsigned char *: DUNE_INT, short *: DUNE_INT, \
	unsigned short *: DUNE_INT, int *: DUNE_INT, unsigned int *: DUNE_INT, \
	long *: DUNE_INT, unsigned long *: DUNE_INT, long long *: DUNE_INT, \
	unsigned long long *: DUNE_INT, float *: DUNE_FLOAT, \
	double *: DUNE_DOUBLE, dune_addr *: DUNE_INT)

/* DUNE_EACH_(m, x, types...): m(number, type) for each type. */
#define DUNE_FIRST_(...) DUNE_FIRST2_(__VA_ARGS__, 0)
#define DUNE_FIRST2_(a, ...) a
/* How many follow the first. */
#define DUNE_COUNT_(...) \
	DUNE_COUNT_N_(__VA_ARGS__, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define DUNE_COUNT_N_(x, a, b, c, d, e, f, g, h, i, j, n, ...) n
#define DUNE_JOIN_(a, b) DUNE_JOIN2_(a, b)
#define DUNE_JOIN2_(a, b) a##b
#define DUNE_EACH_(m, ...) \
	DUNE_JOIN_(DUNE_EACH_, DUNE_COUNT_(__VA_ARGS__))(m, __VA_ARGS__)
#define DUNE_EACH_0(m, x)
#define DUNE_EACH_1(m, x, a) m(0, a)
#define DUNE_EACH_2(m, x, a, b) DUNE_EACH_1(m, x, a) m(1, b)
#define DUNE_EACH_3(m, x, a, b, c) DUNE_EACH_2(m, x, a, b) m(2, c)
#define DUNE_EACH_4(m, x, a, b, c, d) DUNE_EACH_3(m, x, a, b, c) m(3, d)
#define DUNE_EACH_5(m, x, a, b, c, d, e) \
	DUNE_EACH_4(m, x, a, b, c, d) m(4, e)
#define DUNE_EACH_6(m, x, a, b, c, d, e, f) \
	DUNE_EACH_5(m, x, a, b, c, d, e) m(5, f)
#define DUNE_EACH_7(m, x, a, b, c, d, e, f, g) \
	DUNE_EACH_6(m, x, a, b, c, d, e, f) m(6, g)
#define DUNE_EACH_8(m, x, a, b, c, d, e, f, g, h) \
	DUNE_EACH_7(m, x, a, b, c, d, e, f, g) m(7, h)
#define DUNE_EACH_9(m, x, a, b, c, d, e, f, g, h, i) \
	DUNE_EACH_8(m, x, a, b, c, d, e, f, g, h) m(8, i)
#define DUNE_EACH_10(m, x, a, b, c, d, e, f, g, h, i, j) \
	DUNE_EACH_9(m, x, a, b, c, d, e, f, g, h, i) m(9, j)

#define DUNE_PARAM_(n, T) , T dune_a##n
#define DUNE_PASS_(n, T) DUNE_VALUE(dune_a##n),
#define DUNE_TAKE_(n, T) T dune_a##n; \
	memcpy(&dune_a##n, dune_v + n, sizeof(dune_a##n));
#define DUNE_NAME_(n, T) , dune_a##n
#define DUNE_TYPE_(n, T) DUNE_TYPE_OF(T),

#define DUNE_PLUGIN_CALL(name, ...) \
	DUNE_CALL_(name, DUNE_FIRST_(__VA_ARGS__), __VA_ARGS__)
#define DUNE_CALL_(name, ret, ...) \
static inline int name(const struct dune_function *dune_f, ret *dune_r \
		       DUNE_EACH_(DUNE_PARAM_, __VA_ARGS__)) \
{ \
	struct dune_value dune_v[] = { \
		DUNE_EACH_(DUNE_PASS_, __VA_ARGS__) { 0, 0, 0 } \
	}; \
	uint64_t dune_bits; \
	int dune_e = dune_call(dune_f, DUNE_TYPE_OF(ret), &dune_bits, dune_v, \
			       DUNE_COUNT_(__VA_ARGS__)); \
 \
	if (!dune_e) \
		memcpy(dune_r, &dune_bits, sizeof(ret)); \
	return dune_e; \
}

#define DUNE_PLUGIN_VOID(...) \
	DUNE_CALL_VOID_(DUNE_FIRST_(__VA_ARGS__), __VA_ARGS__)
#define DUNE_CALL_VOID_(name, ...) \
static inline int name(const struct dune_function *dune_f \
		       DUNE_EACH_(DUNE_PARAM_, __VA_ARGS__)) \
{ \
	struct dune_value dune_v[] = { \
		DUNE_EACH_(DUNE_PASS_, __VA_ARGS__) { 0, 0, 0 } \
	}; \
 \
	return dune_call(dune_f, DUNE_VOID, NULL, dune_v, \
			 DUNE_COUNT_(__VA_ARGS__)); \
}

#define DUNE_HOST_CALLBACK(var, symbol, func, ...) \
	DUNE_CALLBACK_(var, symbol, func, DUNE_FIRST_(__VA_ARGS__), \
		       __VA_ARGS__)
#define DUNE_CALLBACK_(var, symbol, func, ret, ...) \
static int var##_dune_thunk(struct dune_sandbox *dune_b, void *dune_c, \
			    const uint64_t *dune_v, uint64_t *dune_bits) \
{ \
	ret dune_r; \
	DUNE_EACH_(DUNE_TAKE_, __VA_ARGS__) \
	int dune_e; \
 \
	(void)dune_v; \
	memset(&dune_r, 0, sizeof(dune_r)); \
	dune_e = func(dune_b, dune_c, &dune_r \
		      DUNE_EACH_(DUNE_NAME_, __VA_ARGS__)); \
	memcpy(dune_bits, &dune_r, sizeof(dune_r)); \
	return dune_e; \
} \
static const struct dune_callback var = { \
	symbol, var##_dune_thunk, DUNE_TYPE_OF(ret), \
	DUNE_COUNT_(__VA_ARGS__), \
	{ DUNE_EACH_(DUNE_TYPE_, __VA_ARGS__) 0 } \
}

#define DUNE_HOST_CALLBACK_VOID(var, symbol, ...) \
	DUNE_CALLBACK_VOID_(var, symbol, DUNE_FIRST_(__VA_ARGS__), \
			    __VA_ARGS__)
#define DUNE_CALLBACK_VOID_(var, symbol, func, ...) \
static int var##_dune_thunk(struct dune_sandbox *dune_b, void *dune_c, \
			    const uint64_t *dune_v, uint64_t *dune_bits) \
{ \
	DUNE_EACH_(DUNE_TAKE_, __VA_ARGS__) \
	(void)dune_v; \
	(void)dune_bits; \
	return func(dune_b, dune_c DUNE_EACH_(DUNE_NAME_, __VA_ARGS__)); \
} \
static const struct dune_callback var = { \
	symbol, var##_dune_thunk, DUNE_VOID, DUNE_COUNT_(__VA_ARGS__), \
	{ DUNE_EACH_(DUNE_TYPE_, __VA_ARGS__) 0 } \
}
#endif

#endif
