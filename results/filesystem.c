/* filesystem.c -- does a store lie on a network file system?
 *
 * SQLite's WAL keeps its index in memory that all processes of one machine map: between machines it
 * silently damages the file. The magic numbers are those of statfs(2) and the file systems' own
 * headers. FUSE is counted in, since sshfs and its kin cannot be told from local ones. */
#include "results/private.h"

#include <string.h>
#include <sys/vfs.h>

static const struct { unsigned long magic; const char *name; } networks[] = {
    { 0x6969, "NFS" },          { 0x517B, "SMB" },          { 0xFF534D42, "CIFS" },
    { 0xFE534D42, "SMB2" },     { 0x0BD00BD0, "Lustre" },   { 0x47504653, "GPFS" },
    { 0x19830326, "BeeGFS" },   { 0x00C36400, "Ceph" },     { 0x5346414F, "AFS" },
    { 0x6B414653, "AFS" },      { 0x73757245, "Coda" },     { 0x01021997, "9p" },
    { 0xAAD7AAEA, "PanFS" },    { 0x01161970, "GFS2" },     { 0x7461636F, "OCFS2" },
    { 0x20030528, "OrangeFS" }, { 0x65735546, "FUSE" },
};

const char *results_network_of(const char *path)
{
    struct arena a = { 0 };
    struct statfs fs;
    const char *slash = strrchr(path, '/');
    const char *dir = !slash ? "." : slash == path ? "/"
                    : arena_strn(&a, path, (size_t)(slash - path));
    const char *name = NULL;

    /* The file itself, which may be a link to elsewhere; a folder that is not there: opening will say so. */
    if (statfs(path, &fs) == 0 || statfs(dir, &fs) == 0)
        for (size_t i = 0; i < COUNT(networks) && !name; i++)
            if ((unsigned long)fs.f_type == networks[i].magic)
                name = networks[i].name;
    arena_free(&a);
    return name;
}
