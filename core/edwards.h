/**
 * A point as Ed25519 and as X25519 write it. Both curves are the same one in other coordinates (RFC
 * 7748, section 4.1), so a public key that was made on the one, where that is cheap, serves on the
 * other.
 */
#ifndef ED_EDWARDS_H
#define ED_EDWARDS_H

#include <stdint.h>

enum { ED_POINT_SIZE = 32 };

/**
 * Writes the coordinate u of X25519, (1 + y) / (1 - y), of a point that Ed25519 has written: y, and
 * a sign that does not matter. The time that it takes depends on the point, so this is for public
 * ones alone. The neutral point, of which there is none, gives 0.
 */
void ed_edwards_to_u(uint8_t u[ED_POINT_SIZE], const uint8_t y[ED_POINT_SIZE]);

#endif
