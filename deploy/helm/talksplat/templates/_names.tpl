{{/* Name of the release's objects, at most 40 characters so that suffixes fit. */}}
{{- define "talksplat.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which objects find their pods; they never change. Takes {root, component}. */}}
{{- define "talksplat.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes {root, component}. */}}
{{- define "talksplat.labels" -}}
{{ include "talksplat.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Reference of an image. Takes {root, name, variant}; cuda is told apart by the tag. */}}
{{- define "talksplat.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := default .root.Chart.AppVersion $image.tag -}}
{{- $isCuda := eq (default "cpu" .variant) "cuda" -}}
{{- $key := ternary (printf "%s-cuda" .name) .name $isCuda -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}/{{ .name }}:{{ $tag }}{{ if $isCuda }}-cuda{{ end }}
{{- with get $image.digests $key }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Secret of one of the three servers. Takes {root, part}. */}}
{{- define "talksplat.secret" -}}
{{- $part := get .root.Values .part -}}
{{- if .root.Values.trial.enabled -}}
{{- if $part.existingSecret -}}
{{- fail (printf "trial.enabled brings its own servers: unset %s.existingSecret, or turn the trial off" .part) -}}
{{- end -}}
{{ include "talksplat.fullname" .root }}-trial-{{ .part }}
{{- else -}}
{{- required (printf "name a Secret in %s.existingSecret, or set trial.enabled for a trial" .part) $part.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* An environment variable from such a Secret. Takes {root, part, name, key}. */}}
{{- define "talksplat.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "talksplat.secret" . }}
      key: {{ .key }}
{{- end -}}

{{/* One worker with its defaults filled in, as YAML. Takes {root, name}. */}}
{{- define "talksplat.worker" -}}
{{- $own := default dict (get .root.Values.workers .name) -}}
{{- $worker := mustMergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy $own) -}}
{{- if lt (int $worker.terminationGracePeriodSeconds) (add (int $worker.graceSeconds) 30) -}}
{{- fail (printf "workers.%s: terminationGracePeriodSeconds must be 30 more than graceSeconds, so that a stage can be handed back" .name) -}}
{{- end -}}
{{- if and (eq $worker.variant "cuda") (not (has .name (list "trainer" "renderer"))) -}}
{{- fail (printf "workers.%s: only trainer and renderer have the variant cuda" .name) -}}
{{- end -}}
{{- if not (dig "limits" "memory" "" $worker.resources) -}}
{{- fail (printf "workers.%s: set resources.limits.cpu and .memory; a stage without them can take a whole node" .name) -}}
{{- end -}}
{{- if gt (int $worker.scaling.min) (int $worker.scaling.max) -}}
{{- fail (printf "workers.%s: scaling.min is above scaling.max" .name) -}}
{{- end -}}
{{- toYaml $worker -}}
{{- end -}}
