#!/usr/bin/env bash
# Compares the database with the truth that a plan wrote down before anything was
# sent: plain SQL over curl, and diff. The answers and the differences lie in got.
#
#   compare.sh DIR HOST:PORT    DIR holds plan/ and gets got/, ClickHouse answers at HOST:PORT
#
# Exits 1 if anything differs. demo.sh reads its functions from here.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
failed=0

say() { printf '%s\n' "$*"; }
now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# alive ends the script when there is nothing left to wait for; demo.sh knows.
alive() { :; }

# sql FILE [NAME=VALUE...] runs a query, its parameters in the URL.
sql() {
  local file=$1 url="http://$clickhouse/?" p
  shift
  for p in "$@"; do url+="param_$p&"; done
  curl -sS --fail-with-body --max-time 60 "$url" --data-binary "@$file"
}

# planned NAME prints a number or string of the plan.
planned() { sed -n 's/^ *"'"$1"'": *"\{0,1\}\([^",]*\).*/\1/p' "$dir/plan/plan.json"; }

# drain waits until the last tick has come through every partition and the
# number of rows has stood still for two seconds. Three minutes of standing still
# without that tick are too long.
drain() {
  local deadline=$(($(now_ms) + 180000)) last=-1 still=0 through rows final
  final=$(planned final_clock)
  while :; do
    read -r through rows < <(sql "$here/sql/arrived.sql" "final=$final")
    if [[ $rows != "$last" ]]; then deadline=$(($(now_ms) + 180000)); fi
    if [[ $through == 1 && $rows == "$last" ]]; then still=$((still + 1)); else still=0; fi
    last=$rows
    ((still >= 8)) && return
    alive
    if (($(now_ms) > deadline)); then
      say "not drained, and nothing new for three minutes: $rows rows" && failed=1 && return
    fi
    sleep 0.25
  done
}

# equal NAME: the truth and the query's answer must be the same bytes.
equal() {
  local truth=$dir/plan/truth/$1.tsv got=$dir/got/$1.tsv
  sql "$here/sql/$1.sql" >"$got"
  if diff -u "$truth" "$got" >"$dir/got/$1.diff"; then
    say "  equal   $1 ($(wc -l <"$got") lines)"
    return
  fi
  failed=1
  say "  DIFFERS $1: $dir/got/$1.diff begins"
  head -n 12 "$dir/got/$1.diff" | sed 's/^/          /'
}

# at_least compares counts that may only be larger than planned.
at_least() {
  sql "$here/sql/at_least.sql" >"$dir/got/at_least.tsv"
  local name want got
  while IFS=$'\t' read -r name want; do
    got=$(value "$dir/got/at_least.tsv" "$name")
    if [[ ${got:-0} -ge $want ]]; then
      say "  enough  $name: $got, planned $want"
    else
      failed=1
      say "  MISSING $name: ${got:-0}, planned $want"
    fi
  done <"$dir/plan/truth/at_least.tsv"
}

# value FILE NAME prints the second column of the line of that name.
value() {
  local name n
  while IFS=$'\t' read -r name n; do
    if [[ $name == "$2" ]]; then echo "$n"; fi
  done <"$1"
}

# provoked prints what was provoked, by how many records, and how often it
# happened: once at least.
provoked() {
  say "provoked:"
  sql "$here/sql/provoked.sql" >"$dir/got/provoked.tsv"
  local name planned got
  while IFS=$'\t' read -r name planned; do
    got=$(value "$dir/got/provoked.tsv" "$name")
    printf '  %-12s %7d  by %d records\n' "$name" "${got:-0}" "$planned"
    if [[ $planned -gt 0 && ${got:-0} -eq 0 ]]; then
      failed=1
      say "  MISSING $name: it was provoked and did not happen"
    fi
  done <"$dir/plan/truth/provoked.tsv"
}

# empty NAME WHAT [PARAMETERS]: the query lists offenders; there must be none.
empty() {
  local name=$1 what=$2
  shift 2
  sql "$here/sql/$name.sql" "$@" >"$dir/got/$name.tsv"
  if [[ -s $dir/got/$name.tsv ]]; then
    failed=1
    say "  BROKEN  $what: $dir/got/$name.tsv begins"
    head -n 6 "$dir/got/$name.tsv" | sed 's/^/          /'
  else
    say "  holds   $what"
  fi
}

# verdict prints every comparison; failed is 1 afterwards if one does not hold.
verdict() {
  mkdir -p "$dir/got"
  say "the truth, written before anything was sent, against plain SQL:"
  equal usage_by_team_hour
  equal usage_daily
  equal rolling_24h
  equal outcomes_by_team_day
  equal totals
  at_least
  empty conservation "accepted = duplicates + held + stored + merged + dead, by source and hour"
  empty unique "no event and no record of Kafka is stored twice"
  empty content "no prompt, command, path or address in any table" "mark=$(planned mark)"
  provoked
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  dir=${1:?directory of the demo} clickhouse=${2:?host:port of ClickHouse}
  drain
  verdict
  exit "$failed"
fi
