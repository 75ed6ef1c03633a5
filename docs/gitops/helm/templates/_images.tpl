{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- /* One image of .Values.images, as text: (list . "checkout") */ -}}
{{- define "checkout.image" -}}
{{- $image := index (index . 0).Values.images (index . 1) -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag }}{{- end -}}
{{- end -}}
