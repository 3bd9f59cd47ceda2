#!/bin/sh
# report_clicks.sh PROGRAM STORE DATA [PICTURES] -- a report clicked through in headless Chromium, from
# file://, at desktop and phone width. Status 77 where there is no Chromium. PICTURES: a folder for
# screenshots.
set -eu
program=$1 store=$2 data=$3 pictures=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || { echo "no Chromium: the report is not clicked through"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# A model more, whose label and replies would like to be markup.
cp "$store" "$dir/db"
"$program" show --benchmark pope --data "$data" --json | sed 's/.*"question_id":\("[^"]*"\).*/\1/' |
    while read -r id; do
        printf '{"question_id":%s,"text":"</script><img src=x onerror=window.injected=1><b>no</b>"}\n' "$id"
    done >"$dir/evil.jsonl"
"$program" score --benchmark pope --data "$data" --db "$dir/db" --answers "$dir/evil.jsonl" \
    --as '<b onclick=x>evil</b>' -q >"$dir/log"
"$program" report "$dir/site" --db "$dir/db" --data "$data" -q 2>"$dir/log"
# The page with a script more, which clicks and writes what it found into the title.
cp "$here/report_clicks.js" "$dir/site/clicks.js"
sed 's|</body>|<script src="clicks.js"></script></body>|' "$dir/site/index.html" >"$dir/site/clicked.html"
failed=0
chrome() {
    timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
        --hide-scrollbars --user-data-dir="$dir/profile" --virtual-time-budget=60000 "$@" 2>"$dir/log"
}
for size in 1280,900 500,900; do                # headless windows are no narrower than 500
    chrome --window-size=$size --dump-dom "file://$dir/site/clicked.html" >"$dir/dom" || true
    said=$(sed -n 's/.*<title>clicks: \(.*\)<\/title>.*/\1/p' "$dir/dom" | head -n 1)
    case $said in
    ok*) echo "report at $size: $said" ;;
    *) echo "report at $size: ${said:-the script did not end}"; tail -n 5 "$dir/log"; failed=1 ;;
    esac
    [ -z "$pictures" ] || { mkdir -p "$pictures"
        chrome --window-size="${size%,*},5200" --screenshot="$pictures/report-${size%,*}.png" \
            "file://$dir/site/index.html" >/dev/null || true; }
done
exit $failed
