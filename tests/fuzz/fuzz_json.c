/* Any bytes as a JSON document; an object then goes the way of config.json (and of the tower's, the
 * adapter's and generation_config.json). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "engine/config.h"
#include "engine/lora.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void as_config(const struct json *o)
{
    struct model_config c;
    struct tower_config tower = { 0 };
    struct err e = { 0 };
    double scale;
    if (config_read(&c, o, "fuzz", o, &e) == OK &&
        (config_known_tower(&c.tower, json_get_str(o, "mm_vision_tower", "")) ||
         config_read_tower(&c.tower, json_get(o, "vision_config"), "fuzz", &e) == OK))
        config_select(&c, o, "fuzz", &e);
    err_clear(&e);
    config_read_tower(&tower, o, "fuzz", &e);
    err_clear(&e);
    lora_read_config(&scale, o, "fuzz", &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = { 0 };
    struct err e = { 0 };
    char *exact = malloc(n ? n : 1);                        /* of its own: a read behind it is seen */
    if (!exact)
        return 0;
    memcpy(exact, bytes, n);
    const struct json *o = json_parse(&a, "fuzz", exact, n, &e);
    if (o && o->type == JSON_OBJECT)
        as_config(o);
    arena_free(&a);
    free(exact);
    return 0;
}
