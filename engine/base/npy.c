/* npy.c -- the 128-byte header of a .npy file, then the bytes as they lie (little-endian). */
#include "engine/base/npy.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/str.h"

enum { HEADER = 128 };          /* magic, version and length (10 bytes), dictionary, blanks, LF */

enum status npy_write(const char *path, const float *values, const size_t *shape, int n_dims,
                      struct err *e)
{
    struct str head;
    size_t n = 1;

    str_init(&head, HEADER);
    str_addn(&head, "\x93NUMPY\x01\x00\x76\x00", 10);       /* 0x76 = 118 bytes follow these ten */
    str_add(&head, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < n_dims; i++) {
        str_addf(&head, "%zu,%s", shape[i], i + 1 < n_dims ? " " : "");
        n *= shape[i];
    }
    str_add(&head, "), }");
    while (head.n < HEADER - 1 && !head.failed)
        str_addc(&head, ' ');
    str_addc(&head, '\n');

    size_t size = HEADER + n * sizeof *values;
    char *bytes = head.failed ? NULL : malloc(size);
    enum status s;
    if (bytes) {
        memcpy(bytes, head.at, HEADER);
        memcpy(bytes + HEADER, values, n * sizeof *values);
        s = file_write(path, bytes, size, e);
    } else {
        s = err_set(e, ERR_MEMORY, "%s: no memory to write %zu numbers", path, n);
    }
    free(bytes);
    str_free(&head);
    return s;
}
