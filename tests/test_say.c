/* What progress says where stderr is no terminal. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/say.h"
#include "tests/check.h"

/* Both lines of a job that takes a while: on its way, and at its end. */
TEST(say_progress_tells_rate_and_time_left)
{
    struct progress p = { .what = "gqa images.zip", .total = 40000000, .is_bytes = true };
    struct err e = { 0 };
    struct file f;
    char text[500] = "";
    int to = open("said", O_WRONLY | O_CREAT, 0666), kept = dup(STDERR_FILENO);
    CHECK(to >= 0 && kept >= 0 && dup2(to, STDERR_FILENO) >= 0);
    say_setup(false, 0, false);
    say_progress(&p);
    usleep(1300000);
    p.done = 10000000;
    say_progress(&p);
    p.done = p.total;
    say_progress_end(&p);
    dup2(kept, STDERR_FILENO);
    CHECK_OK(file_open(&f, "said", ERR_DATA, &e), e);
    memcpy(text, f.at, f.n < sizeof text ? f.n : sizeof text - 1);
    file_close(&f);
    CHECK(strstr(text, "gqa images.zip  10.0 MB/40.0 MB 25%  ") == text);
    CHECK(strstr(text, "MB/s  ETA 0:0") != NULL);
    char *last = strchr(text, '\n');
    CHECK(last && strstr(last, "40.0 MB/40.0 MB 100%") && !strstr(last, "ETA"));
}
