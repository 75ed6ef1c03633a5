{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* The namespace. It is part of user names that core and policies know the operator by. */}}
{{- define "cabgate.namespace" -}}
{{- if ne .Release.Namespace "cabgate-system" -}}
{{- fail (printf "cabgate is to be installed into the namespace cabgate-system, not %s: helm install cabgate charts/cabgate -n cabgate-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
cabgate-system
{{- end -}}

{{/* Labels of every object. */}}
{{- define "cabgate.labels" -}}
app.kubernetes.io/name: cabgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* Name, labels and, with namespace true, namespace: (dict "root" $ "name" "x" "namespace" true "keep" true) */}}
{{- define "cabgate.metadata" -}}
name: {{ .name }}
{{- if .namespace }}
namespace: {{ include "cabgate.namespace" .root }}
{{- end }}
labels:
  {{- include "cabgate.labels" .root | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- if .keep }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end -}}

{{/* What finds the Pods of a component: (dict "component" "webhook") */}}
{{- define "cabgate.selector" -}}
app.kubernetes.io/name: cabgate
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* A role bound to a service account: (dict "root" $ "name" "x" "account" "y" "cluster" true) */}}
{{- define "cabgate.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRoleBinding" "RoleBinding" .cluster }}
metadata:
  {{- include "cabgate.metadata" (dict "root" .root "name" .name "namespace" (not .cluster)) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ ternary "ClusterRole" "Role" .cluster }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ include "cabgate.namespace" .root }}
{{- end -}}

{{/* What denies by a policy: (dict "root" $ "name" "x") */}}
{{- define "cabgate.denies" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "cabgate.metadata" . | nindent 2 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end -}}

{{/* The bindings of a policy that denies rollouts: outside Enforce it denies in namespaces labelled
     Enforce alone, and tells in the others. (dict "root" $ "name" "x") */}}
{{- define "cabgate.deniesByMode" -}}
{{- $tells := dict "Enforce" list
  "Warn" (list (dict "name" "warn" "mode" "NotEnforced" "actions" (list "Warn" "Audit")))
  "Audit" (list (dict "name" "warn" "mode" "Warned" "actions" (list "Warn")) (dict "name" "audit" "mode" "NotEnforced" "actions" (list "Audit"))) -}}
{{- $root := .root -}}
{{- $policy := .name -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "cabgate.metadata" (dict "root" $root "name" $policy) | nindent 2 }}
spec:
  policyName: {{ $policy }}
  validationActions: [Deny]
  {{- if ne $root.Values.mode "Enforce" }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        {{- include "cabgate.modeEnforced" $root | nindent 8 }}
  {{- end }}
{{- range get $tells $root.Values.mode }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "cabgate.metadata" (dict "root" $root "name" (printf "%s-%s" .name $policy)) | nindent 2 }}
spec:
  policyName: {{ $policy }}
  validationActions: {{ .actions | toJson }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        {{- include (printf "cabgate.mode%s" .mode) $root | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The image of both processes. */}}
{{- define "cabgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The spec of the Pods of a component, but for its container and volumes:
     (dict "root" $ "component" "webhook" "values" .Values.webhook), with "withoutToken" true where it
     is to have no token of its ServiceAccount. */}}
{{- define "cabgate.pod" -}}
serviceAccountName: cabgate-{{ .component }}
automountServiceAccountToken: {{ not .withoutToken }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "cabgate.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{/* What a container may: nothing but run. */}}
{{- define "cabgate.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Probes by the port called health. */}}
{{- define "cabgate.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* Metadata of the Pods of a component: (dict "component" "webhook" "root" $ "values" .Values.webhook) */}}
{{- define "cabgate.podMetadata" -}}
labels:
  {{- include "cabgate.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the relay reads of its sinks. */}}
{{- define "cabgate.sinks" -}}
{{- $sinks := list }}
{{- range .Values.relay.siem.sinks }}
{{- $sink := pick . "name" "type" "format" "url" "header" }}
{{- if .secret }}
{{- $_ := set $sink "credentialFile" (printf "/etc/cabgate/sink/%s/credential" .name) }}
{{- end }}
{{- if .caConfigMap }}
{{- $_ := set $sink "caFile" (printf "/etc/cabgate/sink/%s/ca.crt" .name) }}
{{- end }}
{{- $sinks = append $sinks $sink }}
{{- end }}
{{- dict "sinks" $sinks | toYaml }}
{{- end -}}

{{/* Egress of a NetworkPolicy: the API server has no labels to name it by, so its ports do, and the
     name service, by which kubernetes.default.svc is found. */}}
{{- define "cabgate.toApiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* Seconds of a duration such as 1h30m. */}}
{{- define "cabgate.seconds" -}}
{{- $units := dict "h" 3600 "m" 60 "s" 1 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[hms]" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* How long before its end the chart's own CA is made anew by cert-manager: a third of its life. */}}
{{- define "cabgate.authorityRest" -}}
14600h
{{- end -}}

{{/* Seconds that a certificate has left when it should have been renewed long ago: two thirds of what it has
at its renewal. */}}
{{- define "cabgate.lateRenewal" -}}
{{- $rest := "720h" }}
{{- if eq .Values.certificates.mode "cert-manager" }}
{{- $rest = .Values.certificates.certManager.renewBefore }}
{{- end }}
{{- div (mul 2 (include "cabgate.seconds" $rest)) 3 }}
{{- end }}

{{/* Seconds after which a sweep is late: six were due, and an hour at the least. */}}
{{- define "cabgate.lateSweep" -}}
{{- max 3600 (mul 6 .Values.operator.sweepSeconds) }}
{{- end }}

{{/* Options of both processes: which users are machines. */}}
{{- define "cabgate.machines" -}}
{{- range .Values.machineGroups }}
- {{ printf "--machine-group=%s" . | quote }}
{{- end }}
{{- range .Values.machineUserPrefixes }}
- {{ printf "--machine-user-prefix=%s" . | quote }}
{{- end }}
{{- end }}
