#include "core/edwards.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/reader.h"
#include "core/writer.h"

enum {
    WORDS = 4,
    WORD_SIZE = 8,
    SIGN_BIT = 63, /* of the last word of a point */
};

/** Less than 2^256, the least significant word first. Where nothing else is said, less than the
 * prime. */
typedef struct number {
    uint64_t words[WORDS];
} number;

static const number one = {{1}};

/** Nothing, and 2^255 - 19: picked by an index, where a branch would be guessed wrong. */
static const number prime[2] = {
    {{0}},
    {{UINT64_C(0xffffffffffffffed), UINT64_MAX, UINT64_MAX, UINT64_C(0x7fffffffffffffff)}},
};

/* --------------------------------------------------------------------------------- integers -- */

static bool is_zero(const number *a)
{
    return (a->words[0] | a->words[1] | a->words[2] | a->words[3]) == 0;
}

static uint64_t is_odd(const number *a)
{
    return a->words[0] & 1;
}

static bool is_less(const number *a, const number *b)
{
    size_t i = WORDS - 1;

    while (i > 0 && a->words[i] == b->words[i])
        i--;
    return a->words[i] < b->words[i];
}

/** Adds to a word. @return the carry. */
static inline uint64_t add_word(uint64_t *a, uint64_t b, uint64_t carry)
{
    uint64_t sum = *a + carry;

    *a = sum + b;
    return (sum < carry) | (*a < b); // never both
}

/** Takes from a word. @return the borrow. */
static inline uint64_t subtract_word(uint64_t *a, uint64_t b, uint64_t borrow)
{
    uint64_t difference = *a - b;
    uint64_t next = (*a < b) | (difference < borrow);

    *a = difference - borrow;
    return next;
}

// Written out, as compilers leave the loops that these are.

/** The sum is less than 2^256. */
static inline void add(number *a, const number *b)
{
    uint64_t carry = add_word(&a->words[0], b->words[0], 0);

    carry = add_word(&a->words[1], b->words[1], carry);
    carry = add_word(&a->words[2], b->words[2], carry);
    (void)add_word(&a->words[3], b->words[3], carry);
}

/** @return 1 if `b` was greater: then the difference is 2^256 too great; else 0. */
static inline uint64_t subtract(number *a, const number *b)
{
    uint64_t borrow = subtract_word(&a->words[0], b->words[0], 0);

    borrow = subtract_word(&a->words[1], b->words[1], borrow);
    borrow = subtract_word(&a->words[2], b->words[2], borrow);
    return subtract_word(&a->words[3], b->words[3], borrow);
}

static inline void halve(number *a)
{
    a->words[0] = a->words[0] >> 1 | a->words[1] << 63;
    a->words[1] = a->words[1] >> 1 | a->words[2] << 63;
    a->words[2] = a->words[2] >> 1 | a->words[3] << 63;
    a->words[3] >>= 1;
}

/* ---------------------------------------------------------------------------- modulo the prime --
 */

static inline void subtract_mod(number *a, const number *b)
{
    add(a, &prime[subtract(a, b)]);
}

static void add_mod(number *a, const number *b)
{
    add(a, b);
    (void)subtract(a, &prime[!is_less(a, &prime[1])]);
}

static inline void halve_mod(number *a)
{
    add(a, &prime[is_odd(a)]); // which is odd, too
    halve(a);
}

/** A number, and its product with the quotient. */
typedef struct pair {
    number a;
    number product;
} pair;

/**
 * As the greatest common divisor is found in binary: the numbers shrink, and when one of them is 0,
 * the other is 1, and has the quotient itself beside it. A divisor of 0 gives 0.
 */
static number divide_mod(const number *dividend, const number *divisor)
{
    pair pairs[2] = {{*divisor, *dividend}, {prime[1], {{0}}}};
    pair *more = &pairs[0], *less = &pairs[1];

    while (!is_zero(&more->a)) {
        for (; is_odd(&more->a) == 0; halve(&more->a))
            halve_mod(&more->product);
        if (is_less(&more->a, &less->a)) {
            pair *swapped = more;
            more = less;
            less = swapped;
        }
        (void)subtract(&more->a, &less->a);
        subtract_mod(&more->product, &less->product);
    }
    return less->product;
}

void ed_edwards_to_u(uint8_t u[ED_POINT_SIZE], const uint8_t y[ED_POINT_SIZE])
{
    number plus = one, minus = one, at;

    for (size_t i = 0; i < WORDS; i++)
        at.words[i] = ed_load_u64(y + WORD_SIZE * i);
    at.words[WORDS - 1] &= ~(UINT64_C(1) << SIGN_BIT);
    add_mod(&plus, &at);
    subtract_mod(&minus, &at);
    number quotient = divide_mod(&plus, &minus);
    for (size_t i = 0; i < WORDS; i++)
        ed_store_u64(u + WORD_SIZE * i, quotient.words[i]);
}
