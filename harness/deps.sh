#!/bin/sh
# deps.sh PACKAGE... -- see that these Debian packages are installed; install what is missing.
# As root directly, else through sudo if it needs no password; otherwise print the one line to type.
set -u

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "llava-eval: this is no Debian: see README.md for the libraries' names on other systems" >&2
    exit 0
fi

missing=
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "llava-eval: these packages are missing; as root, type" >&2
    echo "    apt-get install -y$missing" >&2
    exit 1
fi

echo "llava-eval: installing$missing" >&2
# shellcheck disable=SC2086
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ||
    {
        $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
    }
} >/dev/null || { echo "llava-eval: apt-get could not install$missing" >&2; exit 1; }
