# Tests how other projects use the flake. `check.sh` sources this file and defines what it uses.
# shellcheck shell=bash disable=SC2154

step "a project of five lines has the cells of the template, and a change rebuilds only its own cells"
project=$work/project
cp -R "$root/nix/template" "$project"
cp "$root/docs/examples/ringbuf.bpf.c" "$project/src/second.bpf.c"
# These sources are new, so the Nix store cannot have cells of them from an earlier run.
now=$(date +%s%N)
for source in "$project"/src/*.bpf.c; do
  echo "// $now" >>"$source"
done
# Users have ukci as an input. Here the tree and the stub replace what the lock of the flake would
# name.
inputs=(--no-write-lock-file --override-input ukci "path:$work/tree" --override-input ukci/nixpkgs "path:$stub")
of_project() { # of_project NAME: the path of a package of `$project`; what Nix says goes to a log
  nix build --no-link --json --print-build-logs "${inputs[@]}" \
    "path:$project#packages.$system.$1" 2>"$work/$1.log" |
    grep --only-matching '"out":"[^"]*"' | cut -d'"' -f4
}
check_project() {
  nix flake check "${inputs[@]}" --print-build-logs "path:$project" 2>"$work/project.log" || {
    cat "$work/project.log" >&2
    fail "the checks of $project fail"
  }
  grep --count --extended-regexp "^building .*-cell-.*[.]drv'" "$work/project.log" || true
}
checks_of_project() {
  nix eval --raw "${inputs[@]}" "path:$project#checks.$system" 2>/dev/null \
    --apply 'checks: builtins.concatStringsSep "\n" (map (name: checks.${name}.drvPath) (builtins.attrNames checks) ++ [ "" ])'
}
first=$(check_project)
[ "$(check_project)" = 0 ] || fail 'unchanged cells were built again'
echo '// changed' >>"$project/src/second.bpf.c"
second=$(check_project)
printf '%12s %d cells built, then 0, then %d\n' '' "$first" "$second" >&2
[ "$first" -gt 0 ] && [ $((second * 2)) = "$first" ] || fail 'the wrong cells were built again'
[ -z "$(grep -- '-cell-hello' "$work/project.log")" ] || fail 'a cell of an unchanged object was built again'

step 'the five lines in README.md and docs/nix.md make the same checks'
for page in README.md docs/nix.md; do
  awk '/^```nix$/ { on = 1; next } /^```$/ { on = 0 } on' "$root/$page" >"$work/five.nix"
  [ -s "$work/five.nix" ] || fail "$page has no flake"
  cp "$work/five.nix" "$project/flake.nix"
  [ "$(check_project)" = 0 ] || fail "the flake of $page has other cells than the template"
  [ "$(grep --count 'gate-' <(checks_of_project))" = "$first" ] || fail "the flake of $page lacks checks"
done
cp "$root/nix/template/flake.nix" "$project/flake.nix"

step 'the cells of the project make one report'
report=$(of_project report) || {
  cat "$work/report.log" >&2
  fail 'there is no report'
}
[ "$(grep --count '"id": ' "$report/report.json")" = "$first" ] || fail "cells are missing: $report"
[ -s "$report/report.html" ] && [ -s "$report/report.md" ] && [ -s "$report/junit.xml" ] ||
  fail "a rendering is missing: $report"

step 'a project with manifests and limits has its failures in the report, and only the gate fails'
project=$work/wrong
cp -R "$root/nix/tests/project" "$project"
cp "$root"/docs/examples/{ringbuf,unchecked_deref}.bpf.c "$project/src/"
report=$(of_project report) || {
  cat "$work/report.log" >&2
  fail 'there is no report'
}
reports() { # reports COUNT WORDS: whether the report has them so often
  [ "$(grep --count --fixed-strings -- "$2" "$report/report.json")" = "$1" ] || fail "the report must have \`$2\` $1 times: $report"
}
cp "$report/report.json" "$work/reports/wrong.json"
reports 3 '"id": '
reports 1 '"outcome": "xfail"' # by the manifest alone
reports 2 '"outcome": "fail"'
reports 1 '"code": "COMPILE_ERROR"'
reports 1 '"text": "return undeclared;"'
reports 1 '"code": "VERIFIER_BUDGET"'
reports 1 '"path": "ringbuf.toml"'
plan=$(of_project plan)
grep -q '"max_insns": 5' "$plan" && grep -q '"loglevel=4"' "$plan" || fail "the plan lacks something: $plan"
# Without Nix, a cell of one of the three artifacts is run again from the plan that the report
# names.
HOME=$home "$ukci" rerun "$report" "unchecked_deref/$kernel/x86_64/llvm-21" --accel tcg \
  --transport vhost-user-vsock --out "$work/rerun" 2>"$work/rerun.log" || {
  cat "$work/rerun.log" >&2
  fail 'a cell of the report does not run again'
}
grep -q 'Same .*: verdict, diagnosis and evidence' "$work/rerun.log" || {
  cat "$work/rerun.log" >&2
  fail 'Nix and the tool have different evidence'
}
of_project gate >/dev/null && fail 'a gate let failed cells through'
diff <(unmet) <(said "$report" fail) || {
  cat "$work/gate.log" >&2
  fail 'the gate names other cells'
}
of_project stale >/dev/null && fail 'a manifest with a rule that covers no kernel was accepted'
grep -q 'debian-9-' "$work/stale.log" || fail 'it was refused for a different reason'
of_project nobodys >/dev/null && fail 'a manifest without an artifact was accepted'
grep -q 'the manifest `rinbguf` belongs to no artifact' "$work/nobodys.log" || fail 'it was refused for a different reason'

step 'a project has objects, sources, two LLVMs, its own kernel and a manifest that names a file'
project=$work/axes
cp -R "$root/nix/tests/axes" "$project"
cp "$examples/ringbuf.bpf.o" "$project/"
cp "$root/guest/tests/casebook/type_freplace.bpf.c" "$project/src/"
mkdir "$project/manifests"
cp "$root/guest/tests/casebook/type_freplace.manifest.toml" "$project/manifests/"
"$clang" -g -O2 -target bpf -I"$root/target/include" -idirafter /usr/include/x86_64-linux-gnu \
  -c "$root/guest/tests/casebook/type_freplace_target.bpf.c" -o "$project/manifests/type_freplace_target.bpf.o"
check_project >/dev/null
diff <(checks_of_project | sed 's/.*-gate-//; s/[.]drv//') - <<CELLS || fail 'the project has other cells'
headers-${kernel//./_}-x86_64-llvm-19
headers-${kernel//./_}-x86_64-llvm-21
ringbuf-${kernel//./_}-x86_64
ringbuf-nixpkgs-lts-x86_64
type_freplace-${kernel//./_}-x86_64-llvm-19
type_freplace-${kernel//./_}-x86_64-llvm-21
CELLS

step 'a source that a derivation generates is compiled'
generated=$(nix build --no-link --json --impure --expr "($cases).generated" |
  grep --only-matching '"out":"[^"]*"' | cut -d'"' -f4)
[ -s "$generated/object.bpf.o" ] || fail "there is no object: $generated"

step 'a wrong argument is refused with a clear message'
wrong() { nix eval --raw --impure --expr "let cases = $cases; in $1" 2>"$work/wrong.log"; }
wrong cases.right >/dev/null || {
  cat "$work/wrong.log" >&2
  fail 'the right arguments are refused'
}
count=$(wrong 'toString (builtins.length cases.wrong)')
for ((n = 0; n < count; n++)); do
  words=$(wrong "(builtins.elemAt cases.wrong $n).said")
  wrong "(builtins.elemAt cases.wrong $n).value" && fail "not refused: $words"
  grep -qF -- "$words" "$work/wrong.log" || {
    cat "$work/wrong.log" >&2
    fail "the message is missing: $words"
  }
done
printf '%12s %d mistakes\n' '' "$count" >&2
