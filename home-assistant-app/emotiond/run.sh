#!/bin/sh
# Writes emotiond's configuration from the app's options and from what the Supervisor says of the broker, and runs it.
# The folders can be changed for a test.
set -eu
umask 077
data=${DATA:-/data}
run=${RUN:-/run/emotiond}
user=${USER_CONFIG:-/config/triggers.toml}
mkdir -p "$run"
service=$(curl --fail --silent --show-error -H "Authorization: Bearer $SUPERVISOR_TOKEN" \
  "${SUPERVISOR:-http://supervisor}/services/mqtt")
printf '%s\n' "$service" | jq -jr '.data.password' > "$run/password"
# A text in JSON is a text in TOML.
jq -r --arg run "$run" --arg data "$data" --argjson service "$service" '
  $service.data as $broker |
  "site = \(.site | @json)",
  "device = \(.device | @json)",
  "[camera]",
  "source = \(.camera | @json)",
  "[summary]",
  "window = \(.window | @json)",
  "[privacy]",
  "min_people = \(.min_people)",
  "[mqtt]",
  "url = \("mqtt\(if $broker.ssl then "s" else "" end)://\($broker.host):\($broker.port)" | @json)",
  "username = \($broker.username | @json)",
  "password_file = \("\($run)/password" | @json)",
  "state_directory = \($data | @json)"
' "$data/options.json" > "$run/emotiond.toml"
# [[trigger]] tables of the user, from the folder addon_configs of Home Assistant.
if [ -f "$user" ]; then cat "$user" >> "$run/emotiond.toml"; fi
exec "${PROGRAM:-/usr/bin/emotiond}" "${COMMAND:-run}" --config "$run/emotiond.toml"
