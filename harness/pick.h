/* pick.h -- some members of a zip that lies on a server, by ranges: a small zip of them alone.
 *
 * Of GQA's 20 GiB of pictures 398 are asked about. A zip ends with a directory that says where each
 * member lies; so the directory is fetched, then the members that are wanted, and a zip is written
 * that holds them as they were, byte for byte, with a directory of its own. It is unpacked by
 * unpack.c, like any other: names, limits and checksums are checked there. */
#ifndef HARNESS_PICK_H
#define HARNESS_PICK_H

#include "harness/http.h"
#include "harness/unpack.h"

struct pick {
    const char *url, *bearer;       /* as http_get has them */
    const struct unpack *members;   /* which: unpack_wants() */
    enum status (*stopped)(void);
    void (*progress)(void *user, int64_t done, int64_t total);      /* from several threads */
    void *user;
};

/* Makes the small zip beside `path`, the name that the whole archive would have: out (of PATH_MAX)
 * becomes its name, of which the choice is a part: a zip of other members is another file. What is
 * there of it from an earlier call is gone on with. *done false, with OK: this server or this
 * archive does not allow it, or it would save too little; fetch the whole. */
enum status pick_zip(const struct pick *p, const char *path, char *out, struct http_answer *answer,
                     bool *done, struct err *e);

#endif
