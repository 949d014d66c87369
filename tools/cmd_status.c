#include <stdio.h>

#include "core/base.h"
#include "core/eddy.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

static const eddy_status statuses[] = {
#define X(name, value, text) name,
    EDDY_STATUS_MAP(X)
#undef X
};

/** One object: name -> {value, text}. */
static int print_json(void)
{
    json_t *all = json_object();

    for (size_t i = 0; i < ED_COUNT(statuses); i++)
        (void)json_object_set_new(
            all, eddy_status_name(statuses[i]),
            json_pack("{siss}", "value", (int)statuses[i], "text", eddy_status_text(statuses[i])));
    return ed_json_print(all);
}

int cmd_status(int argc, char **argv)
{
    bool json = false;
    const ed_option options[] = {ED_JSON_OPTION(&json)};
    const ed_usage usage = {
        .command = "status",
        .summary = "Lists every status that the library can return: value, name, meaning.\n",
        .example = "  eddy status | grep -e -16    what does -16 mean?\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (json)
        return print_json();
    for (size_t i = 0; i < ED_COUNT(statuses); i++)
        printf("%3d  %-16s %s\n", (int)statuses[i], eddy_status_name(statuses[i]),
               eddy_status_text(statuses[i]));
    return ED_EXIT_OK;
}
