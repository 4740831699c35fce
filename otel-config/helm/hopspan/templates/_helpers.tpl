{{/* Names and labels. Names leave room for the longest suffix, "-plugin-headless", below the 63 characters of a label. */}}
{{- define "hopspan.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{- define "hopspan.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains (include "hopspan.name" .) .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hopspan.name" .) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hopspan.probe.name" -}}{{ include "hopspan.fullname" . }}-probe{{- end -}}
{{- define "hopspan.plugin.name" -}}{{ include "hopspan.fullname" . }}-plugin{{- end -}}

{{/* Of a list: the root and the component's name. */}}
{{- define "hopspan.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hopspan.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "hopspan.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hopspan.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hopspan
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hopspan.image" -}}
{{- $root := index . 0 -}}
{{- printf "%s/%s:%s" $root.Values.image.registry (index . 1).repository (default $root.Chart.AppVersion $root.Values.image.tag) | trimPrefix "/" | quote -}}
{{- end -}}

{{/* Of a list: the component's values and its default name. */}}
{{- define "hopspan.serviceAccountName" -}}
{{- $account := (index . 0).serviceAccount -}}
{{- default (ternary (index . 1) "default" $account.create) $account.name -}}
{{- end -}}

{{/* A program's configuration as the user gives it, without nulls: they stand for what is not said. */}}
{{- define "hopspan.userConfig" -}}
{{- $config := mustDeepCopy (default dict .config) -}}
{{- include "hopspan.dropNulls" $config -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Changes the mapping that it is given. */}}
{{- define "hopspan.dropNulls" -}}
{{- $mapping := . -}}
{{- range $key, $value := $mapping -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $mapping $key -}}
{{- else if kindIs "map" $value -}}
{{- include "hopspan.dropNulls" $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hopspan.port" -}}{{ regexFind "[0-9]+$" . }}{{- end -}}

{{/* Of a list: the names of Secrets to mount. A Secret's files are for the container's user and group alone. Its name
may be longer than a volume's, and has dots. */}}
{{- define "hopspan.secretVolumes" -}}
{{- range . | uniq | sortAlpha }}
- name: secret-{{ sha256sum . | trunc 8 }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "hopspan.secretMounts" -}}
{{- range . | uniq | sortAlpha }}
- name: secret-{{ sha256sum . | trunc 8 }}
  mountPath: /etc/hopspan/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Of a list: a configuration, the Secrets that are mounted, and the value that mounts more. */}}
{{- define "hopspan.requireSecrets" -}}
{{- $mounted := index . 1 -}}
{{- $value := index . 2 -}}
{{- range regexFindAll "/etc/hopspan/secrets/[^/\\s]+" (index . 0) -1 | uniq -}}
{{- if not (has (base .) $mounted) -}}
{{- fail (printf "%s: lacks %s, of which the configuration names a file" $value (base .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The kubelet's questions; /health is not asked, since a restart mends no backend that is away. */}}
{{- define "hopspan.kubeletProbes" -}}
startupProbe:
  httpGet: {{- include "hopspan.httpGet" (list . "/ready") | nindent 4 }}
  periodSeconds: 2
  timeoutSeconds: 5
  # Five minutes: the probe compiles first, which takes a second, and much more on a busy node.
  failureThreshold: 150
readinessProbe:
  httpGet: {{- include "hopspan.httpGet" (list . "/ready") | nindent 4 }}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  httpGet: {{- include "hopspan.httpGet" (list . "/live") | nindent 4 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{- define "hopspan.httpGet" -}}
path: {{ index . 1 }}
port: metrics
{{- with index . 0 }}
host: {{ . | quote }}
{{- end }}
{{- end -}}
