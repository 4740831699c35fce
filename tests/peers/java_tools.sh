# What scripts that stand on Java and Maven share: checks that name what is missing, and Maven with its output in a log.
# shellcheck shell=bash

readonly LEAST_JAVA=17

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

check_java() {
  command -v java >/dev/null || fail "needs Java $LEAST_JAVA or newer, and there is no command 'java' on PATH"
  local found
  found=$(java -version 2>&1 | sed -n 's/.* version "\(1\.\)\?\([0-9]*\).*/\2/p' | head -n 1)
  [[ ${found:-0} -ge $LEAST_JAVA ]] || fail "needs Java $LEAST_JAVA or newer, and 'java' on PATH is ${found:-unknown}"
}

check_maven() {
  command -v mvn >/dev/null || fail "needs Maven, and there is no command 'mvn' on PATH"
}

# run_maven LOG ARGUMENT...: where it fails, the reason is the log's first error.
run_maven() {
  local log=$1
  shift
  nice -n 19 mvn --batch-mode --no-transfer-progress "$@" >"$log" 2>&1 && return
  fail "Maven failed, see $log: $(sed -n 's/^\[ERROR\] //p' "$log" | head -n 1)"
}
