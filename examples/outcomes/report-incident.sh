#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reports an incident of what a workload runs now, of the outcome of it that goes on; where none
# does, of the one that ended last:
#   report-incident.sh NAMESPACE KIND NAME ID SEVERITY SOURCE
#   report-incident.sh shop Deployment checkout INC-4711 2 alertmanager
# It needs kubectl and the role cabgate-outcome-reporter. An id that was reported before is recorded
# once, so that an alert may fire again.
set -eu
namespace=$1 id=$4 severity=$5 source=$6
export KIND="$2" NAME="$3"
case "$id$source" in
  *[!A-Za-z0-9._:/-]*)
    echo "ID and SOURCE: allowed: letters, digits and . _ : / -" >&2
    exit 2
    ;;
esac
case "$severity" in
  [1-4]) ;;
  *)
    echo "SEVERITY: allowed: 1, 2, 3 or 4; 1 is worst" >&2
    exit 2
    ;;
esac
# Names by the environment: awk reads escapes in what it is given by -v.
found=$(
  kubectl get rolloutoutcomes --namespace="$namespace" -o jsonpath='{range .items[*]}{.spec.target.kind}{"|"}{.spec.target.name}{"|"}{.metadata.name}{"|"}{.status.result}{"|"}{.status.interruptions[-1:].reason}{"|"}{.status.interruptions[-1:].until}{"|"}{.status.endedAt}{"\n"}{end}' |
    awk -F'|' '
      $1 != ENVIRON["KIND"] || $2 != ENVIRON["NAME"] { next }
      $4 == "" { open = 1; if (!($5 == "ImagesLeft" && $6 == "")) print $3; next }
      $7 >= at { at = $7; last = $3 }
      END { if (!open && last != "") print last }
    '
)
if [ -z "$found" ]; then
  echo "$KIND $NAME in $namespace has no outcome of what it runs" >&2
  exit 1
fi
for outcome in $found; do
  kubectl patch rolloutoutcome "$outcome" --namespace="$namespace" --subresource=status --type=merge \
    -p "{\"status\":{\"report\":{\"id\":\"$id\",\"severity\":$severity,\"source\":\"$source\"}}}"
done
