{{/* collector-plugin's configuration: what the chart sets, below what the user says; the acknowledging exporter first. */}}
{{- define "hopspan.plugin.config" -}}
{{- $values := .Values.plugin -}}
{{- $user := fromYaml (include "hopspan.userConfig" $values) -}}
{{- $receivers := default dict $user.receivers -}}
{{- $guard := fromYaml (include "hopspan.plugin.guard" $values) -}}
{{- $protocols := dict "grpc" (merge (dict "endpoint" (printf "%s:24317" $values.listenAddress)) $guard) -}}
{{- if kindIs "map" (dig "otlp" "protocols" "http" "" $receivers) -}}
{{- $_ := set $protocols "http" (merge (dict "endpoint" (printf "%s:24318" $values.listenAddress)) $guard) -}}
{{- end -}}
{{- $defaults := dict
  "receivers" (dict "otlp" (dict "protocols" $protocols))
  "telemetry" (dict "metrics" (dict "endpoint" (printf "%s:29465" $values.listenAddress))) -}}
{{- if .Values.kubernetes.names.enabled -}}
{{- $_ := set $defaults "kubernetes" (dict "enabled" true) -}}
{{- end -}}
{{- if kindIs "map" (dig "zipkin" "" $receivers) -}}
{{- $_ := set $defaults.receivers "zipkin" (merge (dict "endpoint" (printf "%s:29411" $values.listenAddress)) $guard) -}}
{{- end -}}
{{- $config := mustMergeOverwrite $defaults $user -}}
{{- if ne (dig "kubernetes" "enabled" false $config) .Values.kubernetes.names.enabled -}}
{{- fail "plugin.config.kubernetes.enabled: set kubernetes.names.enabled, which gives the rights too" -}}
{{- end -}}
{{- range $port, $endpoint := include "hopspan.plugin.endpoints" $config | fromYaml -}}
{{- if regexMatch "^(localhost|127\\.[0-9.]+|\\[::1\\]):" $endpoint -}}
{{- fail (printf "plugin.config: nobody outside of the pod reaches %s (%s)" $endpoint $port) -}}
{{- end -}}
{{- end -}}
{{- toYaml (omit $config "exporters") }}
{{ include "hopspan.plugin.exporters" (list $user.exporters $values.acknowledgingExporter) }}
{{- end -}}

{{/* Of a list: the exporters and the name of the first. */}}
{{- define "hopspan.plugin.exporters" -}}
{{- $exporters := default dict (index . 0) -}}
{{- $first := index . 1 -}}
{{- if not $exporters -}}
{{- fail "plugin.config.exporters: names no backend; for example --set plugin.config.exporters.otlp.endpoint=jaeger:4317 --set plugin.config.exporters.otlp.tls.insecure=true" -}}
{{- end -}}
{{- $names := keys $exporters | sortAlpha -}}
{{- range $names -}}
{{- if regexMatch "^file(/|$)" . -}}
{{- fail (printf "plugin.config.exporters.%s: the pod can write no file" .) -}}
{{- end -}}
{{- end -}}
{{- if and $first (not (has $first $names)) -}}
{{- fail (printf "plugin.acknowledgingExporter: %s is not one of plugin.config.exporters (%s)" $first (join ", " $names)) -}}
{{- end -}}
{{- if and (not $first) (gt (len $names) 1) -}}
{{- fail (printf "plugin.acknowledgingExporter: required with several exporters (%s)" (join ", " $names)) -}}
{{- end -}}
exporters:
{{- $first = default (first $names | default "") $first }}
{{- range concat (list $first) (without $names $first) | uniq | compact }}
  {{ . }}: {{- get $exporters . | toYaml | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* TLS and tokens of every receiver. */}}
{{- define "hopspan.plugin.guard" -}}
{{- if and .tls.clientCa (not .tls.secretName) -}}
{{- fail "plugin.tls.secretName: required with plugin.tls.clientCa" -}}
{{- end -}}
{{- if .tls.secretName }}
tls:
  cert_file: /etc/hopspan/secrets/{{ .tls.secretName }}/tls.crt
  key_file: /etc/hopspan/secrets/{{ .tls.secretName }}/tls.key
{{- if .tls.clientCa }}
  client_ca_file: /etc/hopspan/secrets/{{ .tls.secretName }}/ca.crt
{{- end }}
{{- end }}
{{- if .auth.secretName }}
auth:
  bearer_token_file: /etc/hopspan/secrets/{{ .auth.secretName }}/{{ .auth.key }}
{{- end }}
{{- end -}}

{{/* Of a configuration: port names and where they listen. */}}
{{- define "hopspan.plugin.endpoints" -}}
{{- $protocols := .receivers.otlp.protocols -}}
otlp-grpc: {{ $protocols.grpc.endpoint | quote }}
{{- with $protocols.http }}
otlp-http: {{ .endpoint | quote }}
{{- end }}
{{- with .receivers.zipkin }}
zipkin: {{ .endpoint | quote }}
{{- end }}
metrics: {{ .telemetry.metrics.endpoint | quote }}
{{- end -}}

{{- define "hopspan.plugin.ports" -}}
{{- $tls := .Values.plugin.tls.secretName -}}
{{- range $name, $endpoint := include "hopspan.plugin.config" . | fromYaml | include "hopspan.plugin.endpoints" | fromYaml }}
- name: {{ $name }}
  port: {{ include "hopspan.port" $endpoint }}
  targetPort: {{ $name }}
  protocol: TCP
  {{- if and (eq $name "otlp-grpc") (not $tls) }}
  appProtocol: grpc
  {{- end }}
{{- end }}
{{- end -}}

{{- define "hopspan.plugin.secrets" -}}
{{- toYaml (concat .Values.plugin.secretMounts (without (list .Values.plugin.tls.secretName .Values.plugin.auth.secretName) "")) -}}
{{- end -}}

{{/* Of a configuration: the ports of all peers that it sends to. */}}
{{- define "hopspan.plugin.backendPorts" -}}
{{- $ports := list -}}
{{- range $name, $exporter := .exporters -}}
{{- $ports = append $ports (include "hopspan.peerPort" (default $exporter.endpoint $exporter.traces_endpoint)) -}}
{{- end -}}
{{- with dig "telemetry" "traces" "endpoint" "" . -}}
{{- $ports = append $ports (include "hopspan.peerPort" .) -}}
{{- end -}}
{{- range without $ports "" | uniq | sortAlpha }}
- {{ . }}
{{- end }}
{{- end -}}

{{/* Of host:port or a URL; nothing of an exporter that writes to a file. */}}
{{- define "hopspan.peerPort" -}}
{{- if . -}}
{{- $place := regexReplaceAll "^[a-z]+://" . "" | regexFind "^[^/?]*" -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $place) | default (ternary "443" "80" (hasPrefix "https:" .)) -}}
{{- end -}}
{{- end -}}
