/**
 * Attacks, each mounted at first with its defence switched off: there it must succeed, or it is
 * none. The names begin with the threat's number in tests/security/README.md.
 */
#ifndef ED_TEST_ATTACK_H
#define ED_TEST_ATTACK_H

#include <stdbool.h>

#include "core/eddy.h"

enum {
    ED_ATTACK_CHECKS_MAX = 8,
};

/** An attack, and what stands against it. */
typedef struct ed_attack {
    const char *name;
    /**
     * Mounts it, from nothing, on victims of its own.
     * @return whether the defence held. A failed check, a panic and a sanitizer's report are a
     * defence that did not, too.
     */
    bool (*mount)(const void *context);
    const void *context;
    /** Each is switched off alone, where the build can (ED_SWITCHABLE); 0 ends them. */
    eddy_check checks[ED_ATTACK_CHECKS_MAX];
    /** For a defence that is no check: takes it away, in a process of its own. NULL: none. */
    void (*weaken)(void);
} ed_attack;

/**
 * Mounts it once without each of its defences, in a child of the process that says nothing, and
 * fails if one is not missed; then with all of them, and fails if they do not hold.
 *
 * EDDY_CHECK_OFF=N in the environment: once, with check N off, whatever its defences are.
 */
void ed_attack_run(const ed_attack *attack);
void ed_attack_run_all(const ed_attack *attacks, size_t count);

/** `full` with EDDY_FULL, and in no run without a defence; otherwise `quick`. */
uint64_t ed_attack_count(uint64_t quick, uint64_t full);

/** Says what was measured, unless a defence is off. */
void ed_attack_figure(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
