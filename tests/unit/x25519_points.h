/**
 * Public keys of X25519 that are of low order, in every encoding. The first twelve are the known
 * list (cr.yp.to/ecdh.html), with results as in draft-irtf-cfrg-cpace, appendix B: RFC 7748 ignores
 * the topmost bit, so that five of the twelve mean another point. Seven that are not among them
 * mean one of low order; github.com/C2SP/wycheproof, testvectors_v1/x25519_test.json, has all
 * fourteen that do.
 */
#ifndef ED_TEST_X25519_POINTS_H
#define ED_TEST_X25519_POINTS_H

#include <stddef.h>

/** The secret key that the published results belong to. */
static const char x25519_points_secret[] =
    "af46e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449aff";

static const struct {
    const char *name;
    const char *key;
    const char *shared; /* NULL: of low order */
} x25519_points[] = {
    {"0", "0000000000000000000000000000000000000000000000000000000000000000", NULL},
    {"1", "0100000000000000000000000000000000000000000000000000000000000000", NULL},
    {"of order 8", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", NULL},
    {"another of order 8", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
     NULL},
    {"p - 1", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", NULL},
    {"p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", NULL},
    {"p + 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", NULL},
    {"p + of order 8", "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
     "e062dcd5376d58297be2618c7498f55baa07d7e03184e8aada20bca28888bf7a"},
    {"p + another of order 8", "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
     "993c6ad11c4c29da9a56f7691fd0ff8d732e49de6250b6c2e80003ff4629a175"},
    {"2p - 1", "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "db64dafa9b8fdd136914e61461935fe92aa372cb056314e1231bc4ec12417456"},
    {"2p", "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "d8e2c776bbacd510d09fd9278b7edcd25fc5ae9adfba3b6e040e8d3b71b21806"},
    {"2p + 1", "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "c85c655ebe8be44ba9c0ffde69f2fe10194458d137f09bbff725ce58803cdb38"},
    {"0, topmost bit", "0000000000000000000000000000000000000000000000000000000000000080", NULL},
    {"1, topmost bit", "0100000000000000000000000000000000000000000000000000000000000080", NULL},
    {"of order 8, topmost bit", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
     NULL},
    {"another of order 8, topmost bit",
     "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7", NULL},
    {"p - 1, topmost bit", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     NULL},
    {"p, topmost bit", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL},
    {"p + 1, topmost bit", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     NULL},
};

#endif
