#include "transport/race.h"

#include "core/addr.h"
#include "core/base.h"

static_assert(ED_RACE_MAX <= 8, "`due` has a bit for each");

static uint8_t bit_of(size_t index)
{
    return (uint8_t)(1U << index);
}

void ed_race_add(ed_race *race, const eddy_address *remote)
{
    ED_ASSERT(race->count < ED_RACE_MAX);
    race->remotes[race->count++] = *remote;
}

bool ed_race_ask_next(ed_race *race)
{
    if (race->asked < race->count)
        race->due |= bit_of(race->asked++);
    return race->asked < race->count;
}

void ed_race_ask_again(ed_race *race)
{
    race->due = (uint8_t)(bit_of(race->asked) - 1);
}

bool ed_race_take(ed_race *race, eddy_address *remote)
{
    for (size_t i = 0; i < race->asked; i++) {
        if ((race->due & bit_of(i)) == 0)
            continue;
        race->due &= (uint8_t)~bit_of(i);
        *remote = race->remotes[i];
        return true;
    }
    return false;
}

bool ed_race_is_last_asked(const ed_race *race, const eddy_address *remote)
{
    return race->asked > 0 && eddy_address_equal(&race->remotes[race->asked - 1], remote);
}
