# report: the site is whole, and what a model says stays text. Its clicks are tests/report_clicks.sh.
. "$ROOT/tests/cli/lib.sh"

for model in "$LINEAR" "$MLP"; do
    expect 0 "$PROGRAM" run --suite pope,llavabench --model "$model" --mirror "$MIRROR" --data data \
        --db a.db --judge demo
done

# a reply that would like to be markup, under a label that would, too
evil='</script><img src=x onerror=alert(1)>'
"$PROGRAM" show --benchmark pope --data data --json | sed 's/.*"question_id":\("[^"]*"\).*/\1/' |
    while read -r id; do
        printf '{"question_id":%s,"text":"%s \\"no\\" \\u2028"}\n' "$id" "$evil"
    done >evil.jsonl
expect 0 "$PROGRAM" score --benchmark pope --data data --db a.db --answers evil.jsonl --as '<b>evil</b>'

cp a.db before.db
expect 0 "$PROGRAM" report site --db a.db --data data tiny-linear tiny-mlp
cmp a.db before.db || fail "a report writes into the store"
for file in index.html report.css report.js data/summary.js data/pope-test/index.js \
            data/pope-test/0.js data/pope-test/1.js data/llavabench-test/index.js; do
    [ -s "site/$file" ] || fail "no $file"
done
ls -d site.part-* 2>/dev/null && fail "the half-made folder stays"
! grep -rl '<' site/data || fail "markup in data"
grep -q 'u003c/script>\\u003cimg src=x onerror=alert(1)>' site/data/pope-test/0.js || fail "the reply is not there"
grep -q 'u003cb>evil\\u003c/b>' site/data/summary.js || fail "the label is not there"
grep -q '"low":-\{0,1\}[0-9]' site/data/summary.js || fail "no interval"
grep -q '"worth":\[[01],[01]' site/data/pope-test/index.js || fail "no worths"
grep -q 'USER: <image>' site/data/pope-test/0.js && fail "a prompt unescaped"
grep -q 'USER: \\u003cimage>' site/data/pope-test/0.js || fail "no prompt"
grep -q '"judge":\[{"pass":0,"attempt":0,"text":"' site/data/llavabench-test/0.js || fail "no judge's reply"
image=$(sed -n 's/.*"image":"\([^"]*\)".*/\1/p' site/data/pope-test/0.js | head -n 1)
[ -s "site/images/pope-test/$image" ] || fail "no picture $image"
! grep -E '(src|href)="?(https?:)?//' site/index.html site/report.css || fail "the page needs a network"

# answers made elsewhere are compared where that is allowed
expect 0 "$PROGRAM" report allowed --db a.db --data data --allow prompts,decode --scoring-only \
    tiny-mlp '<b>evil</b>'
grep -q '"b":2,"rows":\[' allowed/data/summary.js || fail "the pair that was named is not compared"
grep -q '"low":-[0-9]' allowed/data/summary.js || fail "no interval of the pair"
[ ! -e allowed/images ] || fail "pictures though --scoring-only"

# what stands at DIR stays; an answer's question is needed, its score is not
expect 2 "$PROGRAM" report site --db a.db --data data
says "name another"
expect 0 "$PROGRAM" report bare --db a.db --data nowhere
says "its answers are left out"
[ -s bare/data/summary.js ] && [ ! -e bare/data/pope-test ] || fail "a report without data"
expect 2 "$PROGRAM" report other --db a.db --data data tiny-linear nobody
says 'no model "nobody"'
[ ! -e other ] || fail "a refused report leaves a folder"
expect 3 "$PROGRAM" report other --db none.db --data data
