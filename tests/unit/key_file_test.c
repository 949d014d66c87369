/** Keys in real files: who may read them, and what may stand in them. */
#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base.h"
#include "core/eddy_keys.h"
#include "core/file.h"
#include "tests/support/folder.h"

#define PUBLIC_TEXT "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq_"
#define SECRET_TEXT "AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fw-jw"

static ed_folder folder;
static char path[ED_FILE_PATH_SIZE];
static const eddy_key other = {{0xee, 0xee}};

static int set_up(void **state)
{
    (void)state;
    return ed_folder_make(&folder);
}

static int tear_down(void **state)
{
    (void)state;
    return ed_folder_remove(&folder);
}

static void check_load(const char *name, eddy_key_kind kind, eddy_status want)
{
    eddy_key key = other;

    CHECK_EQ(name, eddy_key_load(&key, kind, path), want);
    if (want != EDDY_OK)
        CHECK_BYTES(name, key.bytes, other.bytes, EDDY_KEY_SIZE);
    else
        CHECK_EQ(name, key.bytes[31], 31);
}

static void what_was_saved_is_loaded(void **state)
{
    static const struct {
        const char *name;
        eddy_key_kind kind;
        unsigned mode;
    } rows[] = {
        {"secret", EDDY_KEY_SECRET, 0600}, {"public", EDDY_KEY_PUBLIC, 0644},
        {"room", EDDY_KEY_ROOM, 0600},     {"issuer", EDDY_KEY_ISSUER, 0600},
        {"token", EDDY_KEY_TOKEN, 0600},
    };
    mode_t umask_before = umask(022);

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        eddy_key made, loaded = other;
        struct stat info;
        (void)ed_folder_path(&folder, rows[i].name, path);
        CHECK_EQ(rows[i].name, eddy_key_make(&made), EDDY_OK);
        CHECK_EQ(rows[i].name, eddy_key_save(&made, rows[i].kind, path), EDDY_OK);
        CHECK_EQ(rows[i].name, stat(path, &info), 0);
        CHECK_EQ(rows[i].name, info.st_mode & 0777, rows[i].mode);
        CHECK_EQ(rows[i].name, info.st_size, EDDY_KEY_TEXT_SIZE);
        CHECK_EQ(rows[i].name, eddy_key_load(&loaded, rows[i].kind, path), EDDY_OK);
        CHECK_BYTES(rows[i].name, loaded.bytes, made.bytes, EDDY_KEY_SIZE);
        eddy_key_kind another = rows[i].kind == EDDY_KEY_ROOM ? EDDY_KEY_SECRET : EDDY_KEY_ROOM;
        CHECK_EQ(rows[i].name, eddy_key_load(&loaded, another, path),
                 rows[i].kind == EDDY_KEY_PUBLIC ? EDDY_EEXPOSED : EDDY_EKEY);
    }
    (void)umask(umask_before);
}

static void nothing_is_overwritten(void **state)
{
    struct stat info;
    char link_path[ED_FILE_PATH_SIZE], target[ED_FILE_PATH_SIZE];

    (void)state;
    (void)ed_folder_put(&folder, "there", "x", 1, 0600, path);
    CHECK_EQ("a file", eddy_key_save(&other, EDDY_KEY_SECRET, path), EDDY_EFILE);
    CHECK("is as it was", stat(path, &info) == 0 && info.st_size == 1);
    // Nor is a file made where a link of somebody else's points.
    (void)ed_folder_path(&folder, "target", target);
    CHECK_EQ("link", symlink(target, ed_folder_path(&folder, "link", link_path)), 0);
    CHECK_EQ("a link to nothing", eddy_key_save(&other, EDDY_KEY_SECRET, link_path), EDDY_EFILE);
    CHECK("nothing was made", stat(target, &info) != 0);
    (void)ed_folder_path(&folder, "no/such/folder", path);
    CHECK_EQ("no folder", eddy_key_save(&other, EDDY_KEY_SECRET, path), EDDY_EFILE);
    CHECK_EQ("no name", eddy_key_save(&other, EDDY_KEY_SECRET, NULL), EDDY_EFILE);
}

static void a_file_that_cannot_be_filled_is_removed(void **state)
{
    struct rlimit before, small;

    (void)state;
    CHECK_EQ("limit", getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = EDDY_KEY_TEXT_SIZE - 1;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ("limit", setrlimit(RLIMIT_FSIZE, &small), 0);
    eddy_status status = eddy_key_save(&other, EDDY_KEY_SECRET, ed_folder_path(&folder, "a", path));
    CHECK_EQ("limit", setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    CHECK_EQ("one byte too many", status, EDDY_EFILE);
    CHECK("no half a key", access(path, F_OK) != 0);
    CHECK_EQ("now it fits", eddy_key_save(&other, EDDY_KEY_SECRET, path), EDDY_OK);
}

static void a_secret_that_others_may_touch_is_refused(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < 01000; mode++) {
        bool is_exposed = (mode & 077) != 0;
        if ((mode & 0400) == 0)
            continue; // who may read what is not readable depends on who we are
        (void)ed_folder_put(&folder, "secret", SECRET_TEXT, 48, mode, path);
        check_load("secret", EDDY_KEY_SECRET, is_exposed ? EDDY_EEXPOSED : EDDY_OK);
        (void)unlink(path);
        (void)ed_folder_put(&folder, "public", PUBLIC_TEXT, 48, mode, path);
        check_load("public", EDDY_KEY_PUBLIC, EDDY_OK);
        (void)unlink(path);
    }
}

static void contents(void **state)
{
    static const char zeros[256];
    static const struct {
        const char *name;
        const char *data;
        size_t size;
        eddy_status want;
    } rows[] = {
        {"no newline", PUBLIC_TEXT, 48, EDDY_OK},
        {"newline", PUBLIC_TEXT "\n", 49, EDDY_OK},
        {"as Windows ends lines", PUBLIC_TEXT "\r\n", 50, EDDY_OK},
        {"more white space", PUBLIC_TEXT " \t\n\n", 52, EDDY_OK},
        {"empty", "", 0, EDDY_EKEY},
        {"newline only", "\n", 1, EDDY_EKEY},
        {"white space only", "                                                 ", 49, EDDY_EKEY},
        {"cut short", PUBLIC_TEXT, 47, EDDY_EKEY},
        {"cut short, newline", "AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fMCq\n", 48, EDDY_EKEY},
        {"cut to a record's half", PUBLIC_TEXT, 24, EDDY_EKEY},
        {"white space before", "\n" PUBLIC_TEXT, 49, EDDY_EKEY},
        {"text behind", PUBLIC_TEXT " server", 55, EDDY_EKEY},
        {"a second key", PUBLIC_TEXT "\n" PUBLIC_TEXT "\n", 98, EDDY_EKEY},
        {"NUL behind", PUBLIC_TEXT "\0", 49, EDDY_EKEY},
        {"zeros", zeros, sizeof(zeros), EDDY_EKEY},
        {"raw bytes", "\2\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", 33, EDDY_EKEY},
        {"wrong kind", SECRET_TEXT "\n", 49, EDDY_EKEY},
        {"a comment", "# my key\n" PUBLIC_TEXT "\n", 58, EDDY_EKEY},
    };

    (void)state;
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        char padded[sizeof(zeros)] = {0};
        memcpy(padded, rows[i].data, strlen(rows[i].data)); // what is longer ends in zeros
        (void)ed_folder_put(&folder, rows[i].name, padded, rows[i].size, 0600, path);
        check_load(rows[i].name, EDDY_KEY_PUBLIC, rows[i].want);
    }
}

static void size_limit(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        eddy_status want;
    } rows[] = {
        {"largest", 255, EDDY_OK},
        {"one more", 256, EDDY_EKEY},
        {"two more", 257, EDDY_EKEY},
        {"huge", 1 << 20, EDDY_EKEY},
    };
    static char data[1 << 20];

    (void)state;
    memset(data, '\n', sizeof(data));
    memcpy(data, PUBLIC_TEXT, 48);
    for (size_t i = 0; i < ED_COUNT(rows); i++) {
        (void)ed_folder_put(&folder, rows[i].name, data, rows[i].size, 0600, path);
        check_load(rows[i].name, EDDY_KEY_PUBLIC, rows[i].want);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    static const eddy_key_kind kinds[] = {EDDY_KEY_SECRET, EDDY_KEY_PUBLIC};
    char link_path[ED_FILE_PATH_SIZE];
    eddy_key key = other;

    (void)state;
    for (size_t i = 0; i < ED_COUNT(kinds); i++) {
        (void)ed_folder_path(&folder, "missing", path);
        check_load("missing", kinds[i], EDDY_EFILE);
        (void)snprintf(path, sizeof(path), "%s", folder.path);
        check_load("folder", kinds[i], EDDY_EFILE);
        (void)ed_folder_path(&folder, "pipe", path);
        CHECK_EQ("pipe", i == 0 ? mkfifo(path, 0600) : 0, 0);
        check_load("a pipe that nobody writes to", kinds[i], EDDY_EFILE);
        CHECK_EQ("no name", eddy_key_load(&key, kinds[i], NULL), EDDY_EFILE);
    }
    // A link is fine: what it leads to is looked at.
    (void)ed_folder_put(&folder, "exposed", SECRET_TEXT, 48, 0644, path);
    CHECK_EQ("link", symlink(path, ed_folder_path(&folder, "link", link_path)), 0);
    CHECK_EQ("link", eddy_key_load(&key, EDDY_KEY_SECRET, link_path), EDDY_EEXPOSED);
    CHECK_EQ("chmod", chmod(path, 0400), 0);
    CHECK_EQ("link", eddy_key_load(&key, EDDY_KEY_SECRET, link_path), EDDY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_filled_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_that_others_may_touch_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(contents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(size_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
