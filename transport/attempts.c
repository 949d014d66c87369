#include "transport/attempts.h"

#include <string.h>

static void try(ed_attempts *attempts, size_t i)
{
    attempts->is_tried[i] = true;
    attempts->is_pending[i] = true;
}

void ed_attempts_init(ed_attempts *attempts, const uint8_t *ticket)
{
    *attempts = (ed_attempts){.hello_pending = ticket == NULL, .has_ticket = ticket != NULL};
    if (ticket == NULL)
        return;
    memcpy(attempts->cookies[0], ticket, ED_COOKIE_SIZE);
    attempts->count = 1;
    try(attempts, 0);
}

static bool has(const ed_attempts *attempts, const uint8_t cookie[ED_COOKIE_SIZE])
{
    for (size_t i = 0; i < attempts->count; i++)
        if (memcmp(attempts->cookies[i], cookie, ED_COOKIE_SIZE) == 0)
            return true;
    return false;
}

static void drop_second(ed_attempts *attempts)
{
    for (size_t i = 2; i < attempts->count; i++) {
        memcpy(attempts->cookies[i - 1], attempts->cookies[i], ED_COOKIE_SIZE);
        attempts->is_tried[i - 1] = attempts->is_tried[i];
        attempts->is_pending[i - 1] = attempts->is_pending[i];
    }
    attempts->count--;
}

void ed_attempts_add(ed_attempts *attempts, const uint8_t cookie[ED_COOKIE_SIZE])
{
    size_t count = attempts->count;
    bool is_first = count == (attempts->has_ticket ? 1 : 0);

    if (has(attempts, cookie))
        return; // of the same moment: there is nothing new to say
    if (count == ED_ATTEMPTS_MAX && attempts->new_count >= ED_ATTEMPTS_MAX - 1)
        return; // all of them answer the same HELLO
    if (count == ED_ATTEMPTS_MAX)
        drop_second(attempts);
    count = attempts->count++;
    attempts->new_count++;
    memcpy(attempts->cookies[count], cookie, ED_COOKIE_SIZE);
    attempts->is_tried[count] = attempts->is_pending[count] = false;
    if (is_first || attempts->is_disputed)
        try(attempts, count);
    ED_ASSERT(attempts->new_count <= attempts->count && attempts->count <= ED_ATTEMPTS_MAX);
}

void ed_attempts_refuse(ed_attempts *attempts, size_t refused, const uint8_t cookie[ED_COOKIE_SIZE])
{
    ED_ASSERT(refused < attempts->count);
    if (attempts->has_ticket && refused == 0) {
        attempts->is_refused = true;
        ed_attempts_add(attempts, cookie);
        return;
    }
    if (attempts->is_disputed)
        return;
    attempts->is_disputed = true;
    attempts->hello_pending = true;
    for (size_t i = 0; i < attempts->count; i++)
        if (!attempts->is_tried[i])
            try(attempts, i);
}

void ed_attempts_repeat(ed_attempts *attempts)
{
    attempts->hello_pending = attempts->is_disputed || attempts->count == 0;
    for (size_t i = 0; i < attempts->count; i++)
        attempts->is_pending[i] = attempts->is_tried[i] && !(i == 0 && attempts->is_refused);
}

bool ed_attempts_take_hello(ed_attempts *attempts)
{
    bool is_pending = attempts->hello_pending;

    attempts->hello_pending = false;
    if (is_pending)
        attempts->new_count = 0;
    return is_pending;
}

const uint8_t *ed_attempts_take(ed_attempts *attempts)
{
    for (size_t i = 0; i < attempts->count; i++) {
        if (!attempts->is_pending[i])
            continue;
        attempts->is_pending[i] = false;
        return attempts->cookies[i];
    }
    return NULL;
}
