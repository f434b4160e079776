#!/usr/bin/env bash
# The demo: starts the pipeline, sends it twenty weeks of an invented company over
# the real protocols, and compares what is in the database with the truth that
# was written down before anything was sent (compare.sh), and what is said of it
# with what the company was made to do (story.sh). It exits 1 on any difference
# of what is certain and leaves the files for reading.
#
#   GOODHART_BIN    directory of goodhart and chserve (default: built into .bin)
#   CHDB_LIB        libchdb.so (default: .cache/chdb/package/libchdb.so)
#   DEMO_DIR        directory of all state, emptied at the start (default: .goodhart/demo)
#   DEMO_SEED, DEMO_PEOPLE, DEMO_DAYS, DEMO_EVENTS   the company
#   DEMO_PORT       first of seven ports in a row instead of the usual ones
#   DEMO_KEEP       not empty: leave the pipeline running at the end
#   DEMO_KILL       hours of the period after which the pipeline is killed with
#                   SIGKILL in the middle of its work and started again, e.g. "100 400"
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${GOODHART_BIN:-$root/.bin}
library=${CHDB_LIB:-$root/.cache/chdb/package/libchdb.so}
dir=${DEMO_DIR:-$root/.goodhart/demo}
pid=
watcher=
sender=
alertmanager=
first_rows=
kills=(${DEMO_KILL:-})
killed=0

# shellcheck source=compare.sh
source "$root/deploy/demo/compare.sh"
# shellcheck source=story.sh
source "$root/deploy/demo/story.sh"
die() { say "demo: $*" >&2; exit 1; }
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# stop ends the pipeline and waits for it.
stop() {
  local p
  for p in $watcher $sender $alertmanager; do kill "$p" 2>/dev/null || true; done
  [[ -n $pid ]] || return 0
  local tries
  for ((tries = 0; tries < 300; tries++)); do # a signal to a process that is not yet there is lost
    kill -0 "$pid" 2>/dev/null || break
    ((tries % 20 == 0)) && kill -TERM "$pid" 2>/dev/null
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null && say "demo: the pipeline did not stop within 30 s" >&2
  wait "$pid" 2>/dev/null || true
  pid=
}
trap stop EXIT
trap 'exit 130' INT TERM

ports() {
  http=127.0.0.1:4318 grpc=127.0.0.1:4317 clickhouse=127.0.0.1:8123 broker=127.0.0.1:9092 admin=127.0.0.1:9464 engine=127.0.0.1:9461 pager=127.0.0.1:9093
  if [[ -n ${DEMO_PORT:-} ]]; then
    http=127.0.0.1:$DEMO_PORT grpc=127.0.0.1:$((DEMO_PORT + 1)) clickhouse=127.0.0.1:$((DEMO_PORT + 2))
    broker=127.0.0.1:$((DEMO_PORT + 3)) admin=127.0.0.1:$((DEMO_PORT + 4)) engine=127.0.0.1:$((DEMO_PORT + 5)) pager=127.0.0.1:$((DEMO_PORT + 6))
  fi
  cat >"$dir/up.yaml" <<YAML
http: $http
grpc: $grpc
clickhouse: $clickhouse
broker: $broker
admin: $admin
clickhouse_admin: $engine
YAML
  printf 'kafka: {brokers: ["%s"]}\n' "$broker" >"$dir/apply.yaml"
}

query() { curl -sS --fail-with-body --max-time 60 "http://$clickhouse/" --data-binary "$1"; }

alive() { kill -0 "$pid" 2>/dev/null || { tail -n 30 "$dir/up.log" >&2; die "the pipeline has stopped, see $dir/up.log"; }; }

# start starts the pipeline and waits until it is ready.
start() {
  : >"$dir/up.log"
  "$bin/goodhart" up --config "$dir/up.yaml" --data "$dir/data" --library "$library" --simulation \
    --keys "$dir/plan/keys.yaml" --people "$dir/plan/people.yaml" ${alertmanager:+--alerter "$dir/alerter.yaml"} >"$dir/up.log" 2>&1 &
  pid=$!
  local deadline=$(($(now_ms) + 120000))
  until [[ $(<"$dir/up.log") == *"goodhart is ready"* ]]; do
    alive
    (($(now_ms) < deadline)) || die "not ready after two minutes: $(curl -s --max-time 2 "http://$admin/readyz")"
    sleep 0.1
  done
}

# crash kills the pipeline and starts it again: the clients go on trying until it
# is back.
crash() {
  local began
  say "killing the pipeline in hour $(acknowledged)"
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
  killed=$((killed + 1))
  mv "$dir/up.log" "$dir/up.$killed.log"
  began=$(now_ms)
  start
  say "ready again after $(seconds $(($(now_ms) - began))) s"
}

# send [HOURS] sends everything, or up to so many hours of the period, and kills
# the pipeline on the way where that is asked for.
send() {
  "$bin/goodhart" simulate send --dir "$dir/plan" --http "http://$http" --grpc "$grpc" ${1:+--hours "$1"} &
  sender=$!
  local status=0
  while kill -0 "$sender" 2>/dev/null; do
    alive
    if ((${#kills[@]} > 0)) && (($(acknowledged) >= kills[0])); then
      kills=("${kills[@]:1}")
      crash
    fi
    sleep 0.1
  done
  wait "$sender" || status=$?
  sender=
  ((status == 0)) || die "sending failed"
}

# acknowledged prints how many hours are through.
acknowledged() {
  local n=0 line
  if [[ -e $dir/plan/progress.json ]]; then
    line=$(<"$dir/plan/progress.json")
    line=${line#*:}
    n=${line%%[,\}]*}
  fi
  echo "${n:-0}"
}

# watch_first notes when the first row is queryable.
watch_first() {
  local n
  while :; do
    n=$(query 'SELECT count() FROM core.usage' 2>/dev/null || echo 0)
    if [[ $n =~ ^[1-9] ]]; then
      now_ms >"$dir/first"
      return
    fi
    sleep 0.1
  done
}

# questions prints the questions that the views are for, and their answers.
questions() {
  local f
  for f in "$here"/sql/questions/*.sql; do
    say
    cat "$f"
    { cat "$f" && echo 'FORMAT PrettyCompactMonoBlock'; } >"$dir/show.sql"
    sql "$dir/show.sql"
  done
}

look() {
  cat <<TEXT

where to look (while it runs: DEMO_KEEP=1, or goodhart up)
  SQL over HTTP      curl "http://$clickhouse/" --data-binary 'SELECT * FROM goodhart.efficiency LIMIT 5 FORMAT Pretty'
  views              SHOW TABLES FROM goodhart
  OTLP, CloudEvents  http://$http/v1/{logs,metrics,traces,events}, gRPC $grpc
  metrics            http://$admin/metrics
  truth and answers  $dir/plan/truth, $dir/got

to report from Claude Code to a pipeline of your own (goodhart up prints the key):
  export CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_LOGS_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp
  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://$http
  export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer <key>"
TEXT
}

main() {
  [[ -x $bin/goodhart && -x $bin/chserve ]] || die "no goodhart and chserve in $bin: make build"
  [[ -f $library ]] || die "no engine at $library: make tools"
  if [[ -e $dir && ! -e $dir/up.yaml ]]; then die "$dir exists and is no demo: remove it or set DEMO_DIR"; fi
  rm -rf "$dir"
  mkdir -p "$dir/got"
  ports
  "$bin/goodhart" simulate plan --out "$dir/plan" --seed "${DEMO_SEED:-1}" --people "${DEMO_PEOPLE:-340}" \
    --days "${DEMO_DAYS:-140}" --events "${DEMO_EVENTS:-270000}"

  pager
  began=$(now_ms)
  say "starting the pipeline under $dir/data"
  start
  say "ready after $(seconds $(($(now_ms) - began))) s"
  watch_first &
  watcher=$!
  play
  say "sent after $(seconds $(($(now_ms) - began))) s"
  drain
  wait "$watcher" || true
  watcher=
  first_rows=$(($(cat "$dir/first") - began))
  say "drained after $(seconds $(($(now_ms) - began))) s"

  say
  verdict
  story
  questions
  look
  say
  say "FIRST_ROWS $(seconds $first_rows) s after the start; the whole demo took $(seconds $(($(now_ms) - began))) s"
  if [[ $failed -ne 0 ]]; then
    say "demo: the database differs from the truth; see $dir/got"
    exit 1
  fi
  say "demo: the database equals the truth"
  if [[ -n ${DEMO_KEEP:-} ]]; then
    say "the pipeline keeps running; stop it with: kill $pid${alertmanager:+ $alertmanager}"
    pid=
    alertmanager=
  fi
}

main "$@"
