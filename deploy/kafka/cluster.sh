#!/usr/bin/env bash
# Apache Kafka on this machine: three nodes on loopback, each broker and
# controller, replication 3 with 2 in sync, as tests and demos want it.
#
#   cluster.sh missing           what this machine lacks to run it; nothing if all is there
#   cluster.sh fetch             fetch Apache Kafka through Maven, once
#   cluster.sh start             start the nodes, return when all three serve
#   cluster.sh stop              stop them
#   cluster.sh run -- command …  start, run the command, stop, whatever happens to it
#   cluster.sh up                start, say where, stop after Ctrl-C
#   cluster.sh kill N            kill -9 node N (1 to 3)
#   cluster.sh pause N           SIGSTOP node N; resume N lets it go on
#   cluster.sh restart N         start node N on its data, return when it serves
#   cluster.sh brokers           the addresses, for a client
#
# The environment says where; clusters with other directories and ports run side by side:
#   KAFKA_DIR    data, logs and pid files (default .goodhart/kafka; run without it: a
#                directory of its own, removed at the end)
#   KAFKA_PORT   brokers listen on this port and the two after it, controllers on the
#                next three (default 9091; run without it: six free ones)
#   KAFKA_HEAP   heap of a node (default 512m)
#   KAFKA_CACHE  where fetched files are kept (default .cache/kafka)
# The command of run finds the cluster in KAFKA_BROKERS and KAFKA_DIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${KAFKA_CACHE:-$root/.cache/kafka}
version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$here/pom.xml")
lib=$cache/$version
dir=${KAFKA_DIR:-$root/.goodhart/kafka}
port=${KAFKA_PORT:-$(cat "$dir/port" 2>/dev/null || echo 9091)}
nodes=(1 2 3)

fail() { echo "cluster.sh: $*" >&2; exit 1; }

missing() {
  local major
  major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' || true)
  [ "${major:-0}" -ge 17 ] || echo "Java 17 or newer (Debian: openjdk-17-jre-headless)"
  [ -d "$lib" ] || command -v mvn >/dev/null || echo "Maven (Debian: maven)"
}

fetch() {
  local lacks fetched
  lacks=$(missing)
  [ -z "$lacks" ] || fail "missing: ${lacks//$'\n'/, }"
  [ -d "$lib" ] && return
  mkdir -p "$cache"
  fetched=$(mktemp -d "$cache/fetch.XXXXXX")
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$fetched/lib" >"$fetched/log" 2>&1 || {
    cat "$fetched/log" >&2
    rm -rf "$fetched"
    fail "Apache Kafka $version could not be fetched through Maven"
  }
  mv -T "$fetched/lib" "$lib" 2>/dev/null || [ -d "$lib" ] # somebody else may have been quicker
  rm -rf "$fetched"
}

broker() { echo "127.0.0.1:$((port + $1 - 1))"; }
controller() { echo "127.0.0.1:$((port + $1 + 2))"; }
brokers() { echo "$(broker 1),$(broker 2),$(broker 3)"; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port finds six ports in a row that nobody listens on.
free_port() {
  local first offset try
  for try in {1..50}; do
    first=$((20000 + RANDOM % 10000))
    for offset in {0..5}; do listens $((first + offset)) && continue 2; done
    echo "$first"
    return
  done
  fail "no six free ports in a row after $try tries"
}

# pid prints the process of a node that runs.
pid() {
  local id
  id=$(cat "$dir/$1/pid" 2>/dev/null) && grep -qs "$dir/$1/server.properties" "/proc/$id/cmdline" && echo "$id"
}

configure() {
  local n=$1
  mkdir -p "$dir/$n"
  cat >"$dir/$n/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$n
controller.quorum.voters=1@$(controller 1),2@$(controller 2),3@$(controller 3)
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$(broker "$n"),CONTROLLER://$(controller "$n")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/$n/data
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=8
group.initial.rebalance.delay.ms=0
# Small and quick, for a machine that runs everything else too.
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
file.delete.delay.ms=1000
controlled.shutdown.enable=false
PROPERTIES
}

format() {
  [ -s "$dir/id" ] || java -cp "$lib/*" kafka.tools.StorageTool random-uuid 2>/dev/null >"$dir/id"
  local n jobs=()
  for n in "${nodes[@]}"; do
    [ -e "$dir/$n/data/meta.properties" ] && continue
    java -cp "$lib/*" kafka.tools.StorageTool format -t "$(cat "$dir/id")" -c "$dir/$n/server.properties" >"$dir/$n/format.log" 2>&1 &
    jobs+=($!)
  done
  [ ${#jobs[@]} -eq 0 ] || wait "${jobs[@]}"
}

launch() {
  local n=$1
  [ -n "$(pid "$n")" ] && return
  listens $((port + n - 1)) && fail "port $((port + n - 1)) is taken: set KAFKA_PORT"
  [ ! -e "$dir/$n/log" ] || mv "$dir/$n/log" "$dir/$n/log.before"
  (
    # A session of its own, since Ctrl-C is for us, and nothing open that is ours:
    # a lock that the caller holds is not the node's.
    for fd in "/proc/$BASHPID/fd/"*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    exec setsid java "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseSerialGC -cp "$lib/*" \
      -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
      kafka.Kafka "$dir/$n/server.properties"
  ) >"$dir/$n/log" 2>&1 </dev/null &
  echo $! >"$dir/$n/pid"
  disown # its end is no news to us
  while kill -0 $! 2>/dev/null && [ -z "$(pid "$n")" ]; do sleep 0.02; done # until it is Java
}

# serving waits until the nodes named have joined the cluster.
serving() {
  local n deadline=$((SECONDS + 90))
  for n in "$@"; do
    until grep -qs 'Kafka Server started' "$dir/$n/log"; do
      [ -n "$(pid "$n")" ] || { tail -n 20 "$dir/$n/log" >&2; fail "node $n ended"; }
      [ $SECONDS -lt $deadline ] || { tail -n 20 "$dir/$n/log" >&2; fail "node $n does not serve after 90 s"; }
      sleep 0.1
    done
  done
}

start() {
  fetch
  mkdir -p "$dir"
  echo "$port" >"$dir/port"
  local n
  for n in "${nodes[@]}"; do configure "$n"; done
  format
  for n in "${nodes[@]}"; do launch "$n"; done
  serving "${nodes[@]}"
}

# end sends a signal to the nodes named and waits until they are gone.
end() {
  local signal=$1 n id deadline=$((SECONDS + 10))
  shift
  for n in "$@"; do
    id=$(pid "$n") && kill -CONT "$id" && kill "-$signal" "$id"
  done
  for n in "$@"; do
    while id=$(pid "$n"); do
      [ $SECONDS -lt $deadline ] || kill -KILL "$id" 2>/dev/null || true
      sleep 0.05
    done
  done
}

run() {
  local own=
  if [ -z "${KAFKA_DIR:-}" ]; then own=$(mktemp -d -t kafka.XXXXXX) dir=$own; fi
  if [ -z "${KAFKA_PORT:-}" ]; then port=$(free_port); fi
  # The one who cleans up outlives us, even a kill -9: it waits until nobody holds
  # the pipe any more.
  export KAFKA_DIR=$dir KAFKA_PORT=$port
  exec 9> >(
    trap '' INT TERM HUP
    cat >/dev/null
    "$here/cluster.sh" stop
    [ -z "$own" ] || rm -rf "$own"
  )
  local cleaner=$!
  start 9>&-
  # Signals go on to the command and what it started; we stop when it has.
  local code=0 command
  set -m
  KAFKA_BROKERS=$(brokers) "$@" 9>&- &
  command=$!
  set +m
  trap 'kill -INT -- "-$command" 2>/dev/null' INT
  trap 'kill -TERM -- "-$command" 2>/dev/null' TERM HUP
  while :; do
    wait "$command" && code=0 || code=$?
    kill -0 "$command" 2>/dev/null || break
  done
  exec 9>&-
  while kill -0 "$cleaner" 2>/dev/null; do wait "$cleaner" || true; done
  exit "$code"
}

node() { [[ ${1:-} =~ ^[123]$ ]] || fail "which node: 1, 2 or 3"; }

case ${1:-} in
missing) missing ;;
fetch) fetch ;;
start) start ;;
stop) end TERM "${nodes[@]}" ;;
brokers) brokers ;;
run)
  [ "${2:-}" = -- ] && shift
  shift
  [ $# -gt 0 ] || fail "run what"
  run "$@"
  ;;
up)
  export KAFKA_DIR=$dir KAFKA_PORT=$port
  run sh -c 'echo "Apache Kafka serves. KAFKA_BROKERS=$KAFKA_BROKERS KAFKA_DIR=$KAFKA_DIR"; exec tail -f --pid=$PPID /dev/null'
  ;;
kill) node "${2:-}" && end KILL "$2" ;;
pause) node "${2:-}" && kill -STOP "$(pid "$2")" ;;
resume) node "${2:-}" && kill -CONT "$(pid "$2")" ;;
restart) node "${2:-}" && end KILL "$2" && launch "$2" && serving "$2" ;;
*)
  sed -n '2,/^set -euo/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
  ;;
esac
