{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The words of a break, and the list of the breaks before. */}}

{{/* CEL: `a` has the form of the annotation of break-glass: FORM of cabgate.lifecycle.requests.break_glass. */}}
{{- define "cabgate.glassForm" -}}
a.matches('^[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}: [^ \\t\\r\\n][^\\r\\n]{0,511}$')
{{- end -}}

{{/* CEL: something of the reason in it can be seen: SHOWN_FORM of cabgate.lifecycle.requests.break_glass. */}}
{{- define "cabgate.glassShown" -}}
a.matches('^[^:]*: [^\\r\\n]*[^\\x{0}-\\x{8}\\x{b}-\\x{1f}\\x{7f}-\\x{9f}\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}\\x{9}-\\x{a}\\x{ad}\\x{34f}\\x{61c}\\x{115f}-\\x{1160}\\x{17b4}-\\x{17b5}\\x{180b}-\\x{180f}\\x{200b}-\\x{200f}\\x{2028}-\\x{2029}\\x{2060}-\\x{2065}\\x{206a}-\\x{206f}\\x{2800}\\x{3164}\\x{fe00}-\\x{fe0f}\\x{feff}\\x{ffa0}\\x{fff9}-\\x{fffb}\\x{e0000}-\\x{e0fff}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}]')
{{- end -}}

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
  expression: >-
    object.metadata.?annotations[?'cabgate.dev/break-glass'] != variables.old[?'cabgate.dev/break-glass']
    && [variables.old[?'cabgate.dev/break-glass'].orValue('')].exists(a, {{ include "cabgate.glassForm" . }})
    && variables.old[?'cabgate.dev/break-glass-by'].orValue('') != ''
    && variables.old[?'cabgate.dev/break-glass-ring'].orValue('') in ['2', '3', '4']
    && variables.old[?'cabgate.dev/break-glass-id'].orValue('').matches('^' + request.resource.resource + '/[a-z0-9-]{1,60}$')
- name: ran
  expression: >-
    [request.resource.resource == 'cronjobs'
    ? oldObject.?spec.?jobTemplate.?spec.?template.?spec.orValue({})
    : oldObject.?spec.?template.?spec.orValue({})]
    .map(s, [{{ include "cabgate.glassList" "containers" }}.map(l, l.map(c, c.?image.orValue(''))),
    {{ include "cabgate.glassList" "initContainers" }}.map(l, l.map(c, c.?image.orValue(''))),
    {{ include "cabgate.glassList" "volumes" }}.map(l, l.map(v, v.?image.?reference.orValue('')))])[0].flatten().flatten()
    .filter(i, i != '').map(i, i.replace('\n', ' ').replace('\t', ' '))
- name: images
  expression: "size(variables.ran) > 100 || size(variables.ran.join('\t')) > 4000 ? [] : variables.ran"
- name: by
  expression: >-
    [variables.old['cabgate.dev/break-glass-by']]
    .map(b, size(b) > 512 || b.contains('\n') || b.contains('\t') ? '' : b)[0]
- name: line
  expression: >-
    variables.old['cabgate.dev/break-glass-id'] + '\t' + variables.old['cabgate.dev/break-glass-ring'] + '\t'
    + variables.by + '\t' + string(size(variables.images)) + variables.images.map(i, '\t' + i).join('') + '\t'
    + variables.old['cabgate.dev/break-glass']
- name: list
  expression: >-
    variables.line + (variables.old[?'cabgate.dev/break-glass-earlier'].orValue('') == '' ? ''
    : '\n' + variables.old['cabgate.dev/break-glass-earlier'])
- name: roomy
  expression: >-
    [object.metadata.?annotations.orValue({})].exists(a, a.size() <= 1000
    && a.map(k, k == 'cabgate.dev/break-glass-earlier' ? 0 : size(bytes(k)) + size(bytes(a[k]))).sum() <= 180000)
- name: earlier
  expression: >-
    !variables.left ? variables.old[?'cabgate.dev/break-glass-earlier'].orValue('')
    : !variables.roomy ? '...'
    : size(variables.list) <= 16000 ? variables.list
    : variables.list.substring(0, variables.list.substring(0, 15996).lastIndexOf('\n')) + '\n...'
{{- end -}}
