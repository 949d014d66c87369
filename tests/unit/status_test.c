#include "tests/support/check.h"

#include <stdio.h>

#include "core/base.h"
#include "core/eddy.h"

static const struct {
    const char *name;
    eddy_status status;
    int value;
    const char *text;
} rows[] = {
#define X(name, value, text) {#name, name, value, text},
    EDDY_STATUS_MAP(X)
#undef X
};

static void every_status_has_its_name_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        CHECK_EQ(rows[i].name, rows[i].status, rows[i].value);
        CHECK_STR(rows[i].name, eddy_status_name(rows[i].status), rows[i].name);
        CHECK_STR(rows[i].name, eddy_status_text(rows[i].status), rows[i].text);
        CHECK(rows[i].name, rows[i].text[0] != '\0');
    }
}

static void values_count_down_from_success(void **state)
{
    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++)
        CHECK_EQ(rows[i].name, rows[i].value, i == 0 ? 0 : rows[i - 1].value - 1);
}

static void a_value_that_is_none_is_said_to_be_unknown(void **state)
{
    static const int values[] = {1, -1000, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < ED_COUNT(values); i++) {
        eddy_status status = (eddy_status)values[i];
        CHECK_STR("text", eddy_status_text(status), "unknown status");
        CHECK_STR("name", eddy_status_name(status), "unknown");
    }
}

static void every_end_has_a_text_of_its_own(void **state)
{
    static const struct {
        const char *name;
        eddy_end end;
        const char *text;
    } ends[] = {
#define X(name, value, text) {#name, name, text},
        EDDY_END_MAP(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(ends); i++) {
        CHECK_STR(ends[i].name, eddy_end_text(ends[i].end), ends[i].text);
        CHECK_EQ(ends[i].name, ends[i].end, i + 1);
    }
    CHECK_STR("none", eddy_end_text((eddy_end)0), "unknown end");
    CHECK_STR("beyond", eddy_end_text((eddy_end)(ED_COUNT(ends) + 1)), "unknown end");
}

static void the_version_is_that_of_the_header(void **state)
{
    char want[32];

    (void)state;
    snprintf(want, sizeof(want), "%d.%d.%d", EDDY_VERSION_MAJOR, EDDY_VERSION_MINOR,
             EDDY_VERSION_PATCH);
    CHECK_STR("version", eddy_version(), want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_name_and_text),
        cmocka_unit_test(values_count_down_from_success),
        cmocka_unit_test(a_value_that_is_none_is_said_to_be_unknown),
        cmocka_unit_test(every_end_has_a_text_of_its_own),
        cmocka_unit_test(the_version_is_that_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
