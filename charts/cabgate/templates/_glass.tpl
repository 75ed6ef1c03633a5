{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The words of a break, and the list of the breaks before. */}}

{{/* CEL: the list of a pod's spec `s`, as the one element of a list; none where what stands there is no
     list, as it may in kinds whose schema takes anything. */}}
{{- define "cabgate.glassList" -}}
[s.?{{ . }}.orValue([])].filter(l, type(l) == list)
{{- end -}}

{{/* Variables: `earlier`, what the annotation cabgate.dev/break-glass-earlier reads after this write,
     whatever anybody writes there: as before, and where the annotation of a break is changed or taken
     away, that break first, so that each is told of by its own line: which write it was, the ring, who,
     the number of images, these, as the workload ran them until now, and the annotation. Its reader is
     breaks_of of cabgate.lifecycle.requests.break_glass. It is kept short: a list that is too long loses the earliest, and
     says so by its last line, and so does one that would leave the other annotations too little room,
     since nothing of this may keep anybody from breaking the glass. */}}
{{- define "cabgate.glassEarlier" -}}
- name: old
  expression: "request.operation == 'UPDATE' ? oldObject.metadata.?annotations.orValue({}) : {}"
- name: left
  expression: >- {{- include "cabgate.cel" (list $ "glass/left") | nindent 4 }}
- name: ran
  expression: >- {{- include "cabgate.cel" (list $ "glass/ran") | nindent 4 }}
- name: images
  expression: "size(variables.ran) > 100 || size(variables.ran.join('\t')) > 4000 ? [] : variables.ran"
- name: by
  expression: >- {{- include "cabgate.cel" (list $ "glass/by") | nindent 4 }}
- name: line
  expression: >- {{- include "cabgate.cel" (list $ "glass/line") | nindent 4 }}
- name: list
  expression: >- {{- include "cabgate.cel" (list $ "glass/list") | nindent 4 }}
- name: roomy
  expression: >- {{- include "cabgate.cel" (list $ "glass/roomy") | nindent 4 }}
- name: earlier
  expression: >- {{- include "cabgate.cel" (list $ "glass/earlier") | nindent 4 }}
{{- end -}}
