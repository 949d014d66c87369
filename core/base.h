/** Assertions and the small helpers that every file may use. */
#ifndef ED_BASE_H
#define ED_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Prints the belief that was wrong, and aborts. The one place where the library prints. */
_Noreturn void ed_panic(const char *belief, const char *file, int line);

/**
 * States a belief. ED_ASSERT stays on in release builds: it guards memory and keys. ED_CHECKED is
 * for the costly kind (whole-structure validators) and exists only in debug, asan and fuzz builds.
 * Input from the network is never asserted; it is parsed, and refused with a status.
 */
#define ED_ASSERT(belief) ((belief) ? (void)0 : ed_panic(#belief, __FILE__, __LINE__))
#ifdef ED_PARANOID
#define ED_CHECKED(belief) ED_ASSERT(belief)
#else
#define ED_CHECKED(belief) ((void)(false && (belief)))
#endif

/** A function that seldom runs: kept out of its callers, which are short and fast without it. */
#define ED_APART __attribute__((noinline))

/**
 * A large local in a busy place, of which nothing is read that was not written: it is not cleared,
 * as all other locals are by the build.
 */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define ED_UNCLEARED __attribute__((uninitialized))
#endif
#endif
#ifndef ED_UNCLEARED
#define ED_UNCLEARED
#endif

/** The number of elements of an array (not of a pointer). */
#define ED_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** The structure that holds `member` at `pointer`. */
#define ED_CONTAINER(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/** No time: nothing to wait for. */
#define ED_NEVER_NS UINT64_MAX

#define ED_NS_PER_US UINT64_C(1000)
#define ED_NS_PER_MS UINT64_C(1000000)
#define ED_NS_PER_S UINT64_C(1000000000)

/**
 * Has the memory on its way by the time that it is touched. Any address is fine; NULL is passed
 * over, as to find that there is no such page takes the processor longer than to fetch one.
 */
static inline void ed_prefetch(const void *at)
{
    if (at != NULL)
        __builtin_prefetch(at);
}

static inline uint64_t ed_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t ed_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline size_t ed_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/** a + b, or UINT64_MAX where that would wrap: "never" stays never. */
static inline uint64_t ed_add_sat_u64(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/** The number of the lowest, and of the highest bit that is set, of those at least one is. */
static inline unsigned ed_lowest_bit(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

static inline unsigned ed_highest_bit(uint64_t bits)
{
    return 63U - (unsigned)__builtin_clzll(bits);
}

/** A run of bytes that somebody else owns. */
typedef struct ed_span {
    const uint8_t *data;
    size_t size;
} ed_span;

#endif
