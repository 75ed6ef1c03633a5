{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What several policies and webhook entries say alike: each list stands in one place. */}}

{{/* The operator's user name. */}}
{{- define "cabgate.operatorUser" -}}
system:serviceaccount:{{ include "cabgate.namespace" . }}:cabgate-operator
{{- end -}}

{{/* An expression of files/cel, as Kubernetes takes it: (list $ "rings/tried"). Comments and indentation
     are left out; a line stays a line, and YAML folds them. */}}
{{- define "cabgate.cel" -}}
{{- $root := index . 0 -}}
{{- $path := printf "files/cel/%s.cel" (index . 1) -}}
{{- $text := $root.Files.Get $path -}}
{{- if not $text -}}
{{- fail (printf "the chart has no %s: take the whole folder charts/cabgate, or a package of it" $path) -}}
{{- end -}}
{{- $text = regexReplaceAll "(?m)^\\s*//.*$" $text "" -}}
{{- if contains "{{" $text -}}
{{- $text = tpl $text $root -}}
{{- end -}}
{{- regexReplaceAll "\\s*\\n\\s*" (trim $text) "\n" -}}
{{- end -}}

{{/* A list as CEL has it: ['a', 'b']. */}}
{{- define "cabgate.celList" -}}
[{{ range $i, $each := . }}{{ if $i }}, {{ end }}{{ $each | squote }}{{ end }}]
{{- end -}}

{{/* Namespaces in which nothing is gated, as YAML. */}}
{{- define "cabgate.excluded" -}}
{{- append .Values.excludedNamespaces (include "cabgate.namespace" .) | uniq | toYaml -}}
{{- end -}}

{{/* Expression of a namespaceSelector that leaves them out. */}}
{{- define "cabgate.notExcluded" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{- include "cabgate.excluded" . | nindent 4 }}
{{- end -}}

{{/* Expressions of a namespaceSelector for rings 2 and up. A malformed ring counts as 4. */}}
{{- define "cabgate.gatedNamespaces" -}}
{{- if lt (int .Values.defaultRing) 2 -}}
- {key: cabgate.dev/ring, operator: Exists}
{{ end -}}
- {key: cabgate.dev/ring, operator: NotIn, values: ["0", "1"]}
{{ include "cabgate.notExcluded" . }}
{{- end -}}

{{/* Who makes Pods, ReplicaSets and Jobs of what was admitted, as YAML. They are known by who they
     are: anybody can write an ownerReference. The first is the name that the controllers of Kubernetes
     have where they have no credentials of their own. */}}
{{- define "cabgate.controllers" -}}
{{- $known := list "system:kube-controller-manager" -}}
{{- range list "deployment" "replicaset" "replication" "statefulset" "daemon-set" "job" "cronjob" -}}
{{- $known = append $known (printf "system:serviceaccount:kube-system:%s-controller" .) -}}
{{- end -}}
{{- concat $known .Values.controllers | uniq | toYaml -}}
{{- end -}}

{{/* Match conditions that let controllers, and the picture that a kubelet makes of a Pod from a file
     of its node, through. */}}
{{- define "cabgate.notOfTheSystem" -}}
- name: is-not-the-work-of-a-controller
  expression: >- {{- include "cabgate.cel" (list $ "gate/is-not-the-work-of-a-controller") | nindent 4 }}
- name: is-no-mirror-pod
  expression: >- {{- include "cabgate.cel" (list $ "gate/is-no-mirror-pod") | nindent 4 }}
{{- end -}}

{{/* What files/kinds.yaml says of the kinds that are gated everywhere: kinds and groups, as YAML. */}}
{{- define "cabgate.kinds" -}}
{{- .Files.Get "files/kinds.yaml" -}}
{{- end -}}

{{/* A rule of one group as policies and webhooks have it:
     (dict "group" "apps" "resources" list "operations" "CREATE, UPDATE") */}}
{{- define "cabgate.rule" -}}
{{- if .resources -}}
- apiGroups: [{{ .group | default `""` }}]
  apiVersions: ["*"]
  resources: [{{ join ", " .resources }}]
  operations: [{{ .operations }}]
{{- end -}}
{{- end -}}

{{/* A rule of one group as roles have it: (dict "group" "apps" "resources" list "verbs" "get") */}}
{{- define "cabgate.right" -}}
{{- if .resources -}}
- apiGroups: [{{ .group | default `""` }}]
  resources: [{{ join ", " .resources }}]
  verbs: [{{ .verbs }}]
{{- end -}}
{{- end -}}

{{/* A configured kind as options and the ConfigMap have it: GROUP/KIND=PATHS */}}
{{- define "cabgate.gatedKind" -}}
{{ .group }}/{{ .kind }}={{ join "," .paths }}
{{- end -}}

{{/* Rules of configured kinds: (dict "root" $ "suffix" "/status" "operations" "UPDATE") */}}
{{- define "cabgate.configuredRules" -}}
{{- range .root.Values.gatedKinds }}
- apiGroups: [{{ .group }}]
  apiVersions: ["*"]
  resources: [{{ .resource }}{{ $.suffix }}]
  operations: [{{ $.operations }}]
{{- end -}}
{{- end -}}

{{/* Kinds whose rollouts are gated. */}}
{{- define "cabgate.gatedRules" -}}
{{- range (include "cabgate.kinds" . | fromYaml).groups }}
{{ include "cabgate.rule" (dict "group" .group "resources" .resources "operations" "CREATE, UPDATE") }}
{{- end }}
{{ include "cabgate.rule" (dict "group" "" "resources" (list "pods/ephemeralcontainers") "operations" "UPDATE") }}
{{- include "cabgate.configuredRules" (dict "root" . "suffix" "" "operations" "CREATE, UPDATE") }}
{{- end -}}

{{/* CEL: a pod template of a configured kind changes. Of a list the whole list is compared. What stands
     at spec.template is looked at like that of any other kind. */}}
{{- define "cabgate.configuredChanges" -}}
{{- range .Values.gatedKinds }}
{{- if ne (join "," .paths) "spec.template" }}
|| (request.resource.group == {{ .group | squote }}
&& request.resource.resource == {{ .resource | squote }}
&& ({{ range $i, $path := .paths }}{{ if $i }}
|| {{ end }}{{ include "cabgate.at" (dict "object" "object" "path" $path) }} != {{ include "cabgate.at" (dict "object" "oldObject" "path" $path) }}{{ end }}))
{{- end }}
{{- end -}}
{{- end -}}

{{- define "cabgate.at" -}}
{{ .object }}{{ range splitList "." (first (splitList "[*]" .path)) }}[?{{ . | squote }}]{{ end }}
{{- end -}}

{{/* Where break-glass is looked after: workloads, with every subresource that can carry an annotation.
     A Scale carries none. Kinds that are gated by configuration have no break-glass. */}}
{{- define "cabgate.glassWorkloads" -}}
namespaceSelector:
  matchExpressions:
    {{- include "cabgate.notExcluded" .root | nindent 4 }}
resourceRules:
  {{- $operations := .operations }}
  {{- range (include "cabgate.kinds" .root | fromYaml).groups }}
  {{- $resources := list }}
  {{- range .breakable }}
  {{- $resources = concat $resources (list . (printf "%s/status" .)) }}
  {{- end }}
  {{- include "cabgate.rule" (dict "group" .group "resources" $resources "operations" $operations) | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* CEL: the group and resource of each of them: ['apps/deployments', ...]. */}}
{{- define "cabgate.breakable" -}}
{{- $names := list -}}
{{- range (include "cabgate.kinds" . | fromYaml).groups -}}
{{- $group := .group -}}
{{- range .breakable -}}
{{- $names = append $names (printf "%s/%s" $group .) -}}
{{- end -}}
{{- end -}}
{{- include "cabgate.celList" $names -}}
{{- end -}}

{{/* The kinds of them, for people: Deployment, StatefulSet, ... */}}
{{- define "cabgate.breakableKinds" -}}
{{- $known := include "cabgate.kinds" . | fromYaml -}}
{{- $breakable := list -}}
{{- range $known.groups -}}
{{- $breakable = concat $breakable .breakable -}}
{{- end -}}
{{- $names := list -}}
{{- range $known.kinds -}}
{{- if has .resource $breakable -}}
{{- $names = append $names .kind -}}
{{- end -}}
{{- end -}}
{{- join ", " $names -}}
{{- end -}}

{{/* Match condition: controllers copy the annotations of a workload onto what they make of it. */}}
{{- define "cabgate.glassPeople" -}}
- name: is-not-the-platform
  expression: >-
    !(request.userInfo.username in {{ include "cabgate.celList" (append (include "cabgate.controllers" . | fromYamlArray) (include "cabgate.operatorUser" .)) }})
{{- end -}}

{{/* Match condition: the annotation is set, or changed. */}}
{{- define "cabgate.glassBreaks" -}}
- name: breaks-the-glass
  expression: >- {{- include "cabgate.cel" (list $ "glass/breaks") | nindent 4 }}
{{- end -}}

{{/* Variables: the larger of the namespace's ring and the workload's, before and after, where a
     malformed one is 4; and whether that is gated. (In a matchCondition namespaceObject is empty.) */}}
{{- define "cabgate.glassGated" -}}
- name: ring
  expression: >- {{- include "cabgate.cel" (list $ "glass/ring") | nindent 4 }}
- name: gated
  expression: variables.ring >= 2
{{- end -}}

{{/* Match condition: one of these is set, changed or removed. */}}
{{- define "cabgate.glassTouched" -}}
- name: touches-the-glass
  expression: >- {{- include "cabgate.cel" (list $ "glass/touched") | nindent 4 }}
{{- end -}}

{{/* Variable: tells this break from every other that rolls out something, also from one with the same
     words: the generation of the object that it was made on, which each change of a pod template raises
     and no write of the status, and whether it is such a change. The resource, because controllers copy
     annotations. */}}
{{- define "cabgate.glassId" -}}
- name: id
  expression: >- {{- include "cabgate.cel" (list $ "glass/id") | nindent 4 }}
{{- end -}}

{{- define "cabgate.glassForged" -}}
BreakGlassForged: metadata.annotations[cabgate.dev/break-glass-by], [cabgate.dev/break-glass-id] and
[cabgate.dev/break-glass-ring] say who broke the glass, in which write and in which ring, and
[cabgate.dev/break-glass-earlier] says which breaks were before. The API server writes them; leave them out,
or as they are.
{{- end -}}

{{/* Expressions of a namespaceSelector by the label of the mode, outside Enforce. Labels select no
     "absent or one of": so a malformed mode is matched by NotEnforced and by Enforced. */}}
{{- define "cabgate.modeNotEnforced" -}}
- {key: cabgate.dev/mode, operator: NotIn, values: [Enforce]}
{{- end -}}

{{- define "cabgate.modeEnforced" -}}
- {key: cabgate.dev/mode, operator: Exists}
- {key: cabgate.dev/mode, operator: NotIn, values: [Warn, Audit]}
{{- end -}}

{{- define "cabgate.modeWarned" -}}
- {key: cabgate.dev/mode, operator: In, values: [Warn]}
{{- end -}}

{{/* Where the API server finds the webhook: (dict "root" $ "path" "/validate") */}}
{{- define "cabgate.client" -}}
service:
  namespace: {{ include "cabgate.namespace" .root }}
  name: cabgate-webhook
  path: {{ .path }}
  port: 443
{{- end -}}

{{/* Annotations that fill in caBundle: cert-manager's. The operator needs none. */}}
{{- define "cabgate.injected" -}}
{{- if eq .Values.certificates.mode "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ include "cabgate.namespace" . }}/cabgate-webhook
{{- end }}
{{- end -}}

{{/* Entries of the gate of one selection: one, or outside Enforce two. There a dead webhook stops no
     rollout, but in namespaces labelled Enforce. (dict "root" $ "name" "x" "namespaces" "- ..."
     "objects" "..." "policy" "DoesNotExist") Where a namespace carries a change policy (policy is
     Exists), freezes may hold: the path says so, since elsewhere none is read. */}}
{{- define "cabgate.gateEntries" -}}
{{- $freezes := eq .policy "Exists" | ternary "/freezes" "" }}
{{- $name := eq .policy "Exists" | ternary (printf "policy-%s" .name) .name }}
{{- if eq .root.Values.mode "Enforce" }}
{{- include "cabgate.gateEntry" (merge (dict "failurePolicy" "Fail" "path" (printf "/validate%s" $freezes) "modes" "" "name" $name) .) }}
{{- else }}
{{- include "cabgate.gateEntry" (merge (dict "failurePolicy" "Ignore" "path" (printf "/validate%s" $freezes) "modes" (include "cabgate.modeNotEnforced" .root) "name" $name) .) }}
{{ include "cabgate.gateEntry" (merge (dict "failurePolicy" "Fail" "path" (printf "/validate/enforce%s" $freezes) "modes" (include "cabgate.modeEnforced" .root) "name" (printf "enforced-%s" $name)) .) }}
{{- end }}
{{- end -}}

{{- define "cabgate.gateEntry" -}}
- name: {{ .name }}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: {{ .failurePolicy }}
  matchPolicy: Equivalent
  timeoutSeconds: {{ .root.Values.webhook.timeoutSeconds }}
  clientConfig: {{- include "cabgate.client" . | nindent 4 }}
  namespaceSelector:
    matchExpressions:
      {{- .namespaces | nindent 6 }}
      - {key: cabgate.dev/change-policy, operator: {{ .policy }}}
      {{- with .modes }}
      {{- . | nindent 6 }}
      {{- end }}
  {{- with .objects }}
  objectSelector:
    matchExpressions:
      {{- . | nindent 6 }}
  {{- end }}
  rules: {{- include "cabgate.gatedRules" .root | trim | nindent 4 }}
  matchConditions: {{- include "cabgate.gateConditions" .root | nindent 4 }}
{{- end -}}

{{/* Match conditions that keep off the webhook whatever the gate has nothing to say about, so that it
     passes with every replica dead: scaling, restarts, status, metadata, finalizers, deletion. */}}
{{- define "cabgate.gateConditions" -}}
{{ include "cabgate.notOfTheSystem" . }}
# A rollout: creation, an image that a Pod had in none of its containers, or a pod template that differs
# in more than the time of a restart. Of a Pod with more than 100 containers, any that changed.
- name: changes-what-runs
  expression: >- {{- include "cabgate.cel" (list $ "gate/changes-what-runs") | nindent 4 }}
- name: is-not-the-dry-run-of-an-intent
  expression: >- {{- include "cabgate.cel" (list $ "gate/is-not-the-dry-run-of-an-intent") | nindent 4 }}
# The one write that breaks the glass, by whoever has the verb: of the kinds that the policies of
# break-glass look after.
- name: does-not-break-the-glass
  expression: >- {{- include "cabgate.cel" (list $ "gate/does-not-break-the-glass") | nindent 4 }}
{{- end -}}
