# The story of the demo, for demo.sh: what the company declares and when, the
# service that runs away, and what the product said of all that beside the truth.
# Only what is certain can fail: the runaway service, and its alert.

# pager starts a real Alertmanager, if there is one, and writes the alerter's rule.
pager() {
  [[ $(planned runaway_hour) != 0 ]] || return 0
  local program files run
  program=$(command -v "$bin/prometheus-alertmanager" || command -v prometheus-alertmanager || true)
  if [[ -z $program ]]; then
    say "SKIPPED: no Alertmanager, so that nobody is paged: make tools"
    return
  fi
  run=("$program")
  files=$(dirname "$(readlink -f "$program")")/../share/prometheus/alertmanager
  if [[ ! -d /usr/share/prometheus/alertmanager && -d $files ]]; then # unpacked only: it is shown its files where it wants them
    run=(unshare --map-root-user --mount sh -ec
      'mount -t tmpfs none /usr/share && mkdir -p /usr/share/prometheus && cp -r "$0" /usr/share/prometheus/alertmanager && exec "$@"'
      "$files" "$program")
  fi
  cat >"$dir/alertmanager.yml" <<YAML
route: {receiver: nobody, group_by: [signal_id], group_wait: 0s, group_interval: 1s, repeat_interval: 24h}
receivers: [{name: nobody}]
YAML
  cat >"$dir/alerter.yaml" <<YAML
receivers:
  - name: oncall
    alertmanager: {url: "http://$pager"}
rules:
  - match: {label: [runaway], scope_kind: [service]}
    to: [oncall]
  - to: []
YAML
  "${run[@]}" --config.file "$dir/alertmanager.yml" --storage.path "$dir/alertmanager" --web.listen-address "$pager" \
    --cluster.listen-address '' >"$dir/alertmanager.log" 2>&1 &
  alertmanager=$!
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    ! curl -sf --max-time 2 "http://$pager/-/ready" >/dev/null || return 0
    kill -0 "$alertmanager" 2>/dev/null || break
    sleep 0.1
  done
  say "SKIPPED: Alertmanager does not start, so that nobody is paged: $dir/alertmanager.log"
  kill "$alertmanager" 2>/dev/null || true
  alertmanager=
}

# firing prints how many alerts fire, and what they are about.
firing() {
  curl -s --max-time 5 "http://$pager/api/v2/alerts" >"$dir/got/alerts.json" || true
  grep -o '"signal_id":"[^"]*"' "$dir/got/alerts.json" | wc -l || true
}

# until_firing N waits until so many alerts fire, a minute at most.
until_firing() {
  local deadline=$(($(now_ms) + 60000))
  until [[ $(firing) == "$1" ]]; do
    (($(now_ms) < deadline)) || return 1
    sleep 0.2
  done
}

apply() { "$bin/goodhart" apply "$dir/plan/$1" --config "$dir/apply.yaml"; }

# play sends the period. On the way the company declares what it is, a service runs
# away, and a target is announced, each at its hour.
play() {
  local announced runaway
  announced=$(planned announced_hour) runaway=$(planned runaway_hour)
  if [[ $announced == 0 ]]; then
    send
    return
  fi
  apply policy.yaml
  send "$((runaway + 3))" # it is out of hand, and the watermark is an hour behind
  page_opens
  send "$announced"
  apply policy.target.yaml
  send
}

paged=0
page_opens() {
  [[ -n $alertmanager ]] || return 0
  if until_firing 1; then
    paged=1
    say "Alertmanager fires: $(grep -o '"summary":"[^"]*"' "$dir/got/alerts.json")"
    cp "$dir/got/alerts.json" "$dir/got/alert.json"
  else
    failed=1
    say "MISSING one alert of the service that runs away: $(firing) fire"
  fi
}

page_ends() {
  ((paged)) || return 0
  if ! until_firing 0; then
    failed=1
    say "  BROKEN  the alert of the service goes on: $dir/got/alerts.json"
    return
  fi
  local told
  told=$(curl -s --max-time 5 "http://$pager/metrics" | sed -n 's/^alertmanager_alerts_received_total{status="resolved",version="v2"} \(.*\)/\1/p')
  say "  holds   the service that ran away was one alert of Alertmanager, and it is resolved (told ${told:-0} times)"
  [[ ${told:-0} != 0 ]] || { failed=1 && say "  BROKEN  Alertmanager was never told that it is over"; }
}

# load NAME COLUMNS puts a file of the truth into a table beside the product's.
load() {
  query "CREATE TABLE demo.$1 ($2) ENGINE = Memory"
  { echo "INSERT INTO demo.$1 FORMAT TSV" && cat "$dir/plan/truth/$1.tsv"; } >"$dir/load.sql"
  sql "$dir/load.sql"
}

# tell TITLE NAME prints the answer of a query of sql/story.
tell() {
  say
  say "$1"
  { cat "$here/sql/story/$2.sql" && echo 'FORMAT PrettyCompactMonoBlock'; } >"$dir/show.sql"
  sql "$dir/show.sql"
}

story() {
  [[ $(planned announced_hour) != 0 ]] || return 0
  query 'CREATE DATABASE demo'
  load cast 'part String, kind String, team String, expected String, since Date, at Int64, output Int64, read Int64'
  load efficiency 'as_of Date, team String, truth Float64'
  load excess 'week Date, tokens Int64, wasted Int64'
  sql "$here/sql/story/persons.sql"
  sql "$here/sql/story/services.sql"
  sql "$here/sql/story/asked.sql"
  query "CREATE TABLE demo.announced (day Date) ENGINE = Memory"
  query "INSERT INTO demo.announced VALUES (toDate('$(planned start | cut -c1-10)') + $(($(planned announced_hour) / 24)))"
  say
  say "what was said of the company, beside what it was made to do:"
  mkdir -p "$dir/got/story"
  empty story/runaway "the service that ran away was asked about once, and the question was resolved"
  page_ends
  tell "teams: their efficiency over 28 days, its 90 % interval, and the truth" efficiency
  tell "teams: the same on every day since there are scores" coverage
  tell "the target: its card, week by week, and the share of tokens that truly bought nothing since it was announced" card
  tell "honest people: how often they were asked" honest
  tell "people: who was asked anything, by the part they play (their questions are theirs alone: only numbers here)" people
  tell "teams, tools, services and targets: every signal" signals
}
