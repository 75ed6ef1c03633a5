#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reports an incident of what a workload runs now, of the outcome of it that goes on:
#   report-incident.sh NAMESPACE KIND NAME ID SEVERITY SOURCE
#   report-incident.sh shop Deployment checkout INC-4711 2 alertmanager
# It needs kubectl and the role cabgate-outcome-reporter. An id that was reported before is recorded
# once, so that an alert may fire again.
set -eu
namespace=$1 kind=$2 workload=$3 id=$4 severity=$5 source=$6
case "$id$severity$source" in
  *[!A-Za-z0-9._:/-]*)
    echo "ID, SEVERITY and SOURCE: allowed: letters, digits and . _ : / -" >&2
    exit 2
    ;;
esac
running=$(
  kubectl get rolloutoutcomes -n "$namespace" -o jsonpath='{range .items[*]}{.spec.target.kind}{"|"}{.spec.target.name}{"|"}{.metadata.name}{"|"}{.status.result}{"|"}{.status.interruptions[-1:].reason}{"|"}{.status.interruptions[-1:].until}{"\n"}{end}' |
    awk -F'|' -v kind="$kind" -v name="$workload" \
      '$1 == kind && $2 == name && $4 == "" && !($5 == "ImagesLeft" && $6 == "") { print $3 }'
)
if [ -z "$running" ]; then
  echo "$kind $workload in $namespace has no outcome that goes on" >&2
  exit 1
fi
for outcome in $running; do
  kubectl patch rolloutoutcome "$outcome" -n "$namespace" --subresource=status --type=merge \
    -p "{\"status\":{\"report\":{\"id\":\"$id\",\"severity\":$severity,\"source\":\"$source\"}}}"
done
