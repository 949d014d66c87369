#include <stdio.h>

#include "core/eddy.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

int cmd_version(int argc, char **argv)
{
    bool json = false;
    const ed_option options[] = {ED_JSON_OPTION(&json)};
    const ed_usage usage = {
        .command = "version",
        .summary = "Prints the version of eddy.\n",
        .example = "  eddy version\n",
        .options = options,
        .option_count = ED_COUNT(options),
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    if (json)
        return ed_json_print(json_pack("{ss}", "version", eddy_version()));
    printf("eddy %s\n", eddy_version());
    return ED_EXIT_OK;
}
