/* store_dump.c -- `store-dump FILE SQL`: rows of a store as tab-separated lines, for the scripts in
 * tests/cli (Debian's sqlite3 shell is not among the packages that the tests need). */
#include <sqlite3.h>
#include <stdio.h>

static int print_row(void *unused, int n, char **value, char **name)
{
    (void)unused;
    (void)name;
    for (int i = 0; i < n; i++)
        printf("%s%c", value[i] ? value[i] : "NULL", i + 1 < n ? '\t' : '\n');
    return 0;
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    char *message = NULL;

    if (argc != 3)
        return 2;
    if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_exec(db, argv[2], print_row, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], message ? message : sqlite3_errmsg(db));
        return 1;
    }
    sqlite3_close(db);
    return 0;
}
