/** `eddy token`: finds the command that is meant. */
#include "core/base.h"
#include "tools/commands.h"
#include "tools/report.h"

static const ed_command commands[] = {
    {"issue", cmd_token_issue, "make a token for a client, as a backend does"},
    {"inspect", cmd_token_inspect, "what everybody who holds a token can read"},
    {"verify", cmd_token_verify, "what a server reads in it, and whether it takes it"},
};

static void print_help(FILE *out)
{
    fputs("eddy token COMMAND [OPTION]...\n\n"
          "A connect token says who may connect where, and until when. It is a secret of\n"
          "its holder. A backend issues it with its issuer's key; each server opens its\n"
          "part of it with the token key that was made for it.\n\n",
          out);
    ed_command_list(out, commands, ED_COUNT(commands));
    fputs("\nEach explains itself with --help. Example:\n\n"
          "  eddy keygen server.key > server.pub\n"
          "  eddy keygen --kind issuer issuer.key\n"
          "  eddy keygen --token-key 9 --issuer issuer.key server9.token-key\n"
          "  eddy token issue --issuer issuer.key --out client.token \\\n"
          "      --server \"127.0.0.1:4242,9,$(cat server.pub)\" --client-id 1001\n"
          "  eddy token inspect client.token\n"
          "  eddy token verify client.token --server-id 9 --token-key server9.token-key\n",
          out);
}

int cmd_token(int argc, char **argv)
{
    if (argc < 3) {
        print_help(stderr);
        return ED_EXIT_USAGE;
    }
    if (ed_command_asks_for_help(argv[2])) {
        print_help(stdout);
        return ED_EXIT_OK;
    }
    const ed_command *command = ed_command_find(commands, ED_COUNT(commands), argv[2]);
    if (command != NULL)
        return command->run(argc - 1, argv + 1);
    (void)ed_fail("token", "no command is called '%s'; eddy token help lists them", argv[2]);
    return ED_EXIT_USAGE;
}
